#include "attend/data/text_file.h"

#include <algorithm>

#include "attend/base/error.h"
#include "attend/base/utf8.h"
#include "attend/data/cache.h"

namespace attend::data {
namespace {

constexpr size_t kBinaryCheck = size_t{64} << 10;

}  // namespace

bool LineCursor::Next() {
  if (next_ >= text_.size()) return false;
  offset_ = next_;
  const size_t end = std::min(text_.find('\n', offset_), text_.size());
  line_ = text_.substr(offset_, end - offset_);
  if (line_.ends_with('\r')) line_.remove_suffix(1);
  next_ = end + 1;
  count_++;
  return true;
}

int64_t LineCursor::CountAll() {
  while (Next()) {
  }
  return count_;
}

bool IsCleanText(std::string_view text) { return text.find('\0') == std::string_view::npos && utf8::Valid(text); }
bool IsBlank(std::string_view text) { return text.find_first_not_of(" \t\v\f\r") == std::string_view::npos; }

TextFiles::TextFiles(const std::vector<std::string>& files, const Path& cache, std::string_view part) : names_(files) {
  uint64_t base = 0;
  for (const std::string& name : names_) {
    MappedFile file(name, part);
    if (IsGzip(file.bytes())) file = MappedFile(Unpack(name, cache, part), part);
    std::string_view text = file.bytes();
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    if (text.empty()) throw UserError(part, "a text with at least one line", name + ", which is empty");
    if (const size_t nul = text.substr(0, kBinaryCheck).find('\0'); nul != std::string_view::npos) {
      throw UserError(part, "UTF-8 text", name + ", which is binary (byte " + std::to_string(nul) + " is NUL)");
    }
    file.ExpectSequential();
    files_.push_back(std::move(file));
    texts_.push_back(text);
    bases_.push_back(base);
    base += text.size();
  }
}

std::string_view TextFiles::LineAt(uint64_t offset) const {
  const auto file = static_cast<size_t>(std::upper_bound(bases_.begin(), bases_.end(), offset) - bases_.begin()) - 1;
  LineCursor cursor(texts_[file].substr(offset - bases_[file]));
  cursor.Next();
  return cursor.line();
}

void TextFiles::ExpectRandom() const {
  for (const MappedFile& file : files_) file.ExpectRandom();
}

}  // namespace attend::data
