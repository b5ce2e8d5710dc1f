#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "attend/base/error.h"
#include "attend/base/file.h"
#include "attend/base/utf8.h"
#include "attend/data/corpus.h"

namespace {

attend::Descriptor File(std::string_view bytes) {
  attend::Descriptor file(memfd_create("corpus", MFD_CLOEXEC));
  attend::WriteAt(file, bytes, 0, "the fuzzer's input");
  return file;
}
std::string Name(const attend::Descriptor& file) { return "/proc/self/fd/" + std::to_string(file.get()); }

}  // namespace

// The first byte chooses table or aligned files, with links or without; the rest are the files. Whatever opens holds clean text in every
// column and counts every line once.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const bool table = data[0] & 1, links = data[0] & 2;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t cut = table ? bytes.size() : bytes.size() / 2;
  const attend::Descriptor first = File(bytes.substr(0, cut)), second = File(bytes.substr(cut));

  attend::data::FilesOptions files;
  attend::data::DataOptions options;
  options.cache = "/tmp/attend-fuzz";
  options.max_bytes = 100;
  files.reverse = data[0] & 4;
  if (table) {
    files.tsv = Name(first);
  } else {
    files.source = Name(first);
    files.target = Name(second);
    if (links) files.alignments = Name(second);
  }
  try {
    const auto corpus = attend::data::Corpus::Open(files, options, links, "data.train");
    const attend::data::Counts& counts = corpus.counts();
    if (counts.kept + counts.empty + counts.ill_encoded + counts.too_long + counts.malformed != counts.lines) __builtin_trap();
    if (corpus.size() != counts.kept) __builtin_trap();
    for (int64_t e = 0; e < corpus.size(); e++) {
      for (int column = 0; column < 2; column++) {
        const std::string_view text = corpus.Text(e, column);
        if (text.empty() || text.size() > 100 || text.find('\n') != std::string_view::npos || !attend::utf8::Valid(text)) __builtin_trap();
      }
      if (links) corpus.Links(e);
    }
  } catch (const attend::UserError& e) {
    if (std::string(e.what()).find('\n') != std::string::npos) __builtin_trap();
  }
  return 0;
}
