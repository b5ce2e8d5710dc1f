// The options reader on hostile text: a YAML file, then after the first line "%%" one override a line, `path=value`.
// Only attend::Error may leave it, and what it accepts must come back the same from its resolved form.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "attend/base/error.h"
#include "tests/config/example_options.h"

namespace {

using attend::config::Source;
using attend::config::example::Options;

std::string_view Line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

Source Parse(std::string_view text) {
  constexpr std::string_view kMark = "\n%%\n";
  const size_t mark = std::min(text.find(kMark), text.size());
  Source source = Source::FromYaml(text.substr(0, mark), "fuzz.yaml");
  text.remove_prefix(std::min(mark + kMark.size(), text.size()));
  while (!text.empty()) {
    const std::string_view line = Line(text);
    const size_t equals = std::min(line.find('='), line.size());
    source.Set(line.substr(0, equals), line.substr(std::min(equals + 1, line.size())));
  }
  return source;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Options options;
  try {
    options = attend::config::Read<Options>(Parse({reinterpret_cast<const char*>(data), size}));
  } catch (const attend::Error&) {
    return 0;
  }
  const std::string yaml = attend::config::ToYaml(options);
  if (!(attend::config::Read<Options>(Source::FromYaml(yaml, "resolved")) == options)) {
    std::fprintf(stderr, "read back differently:\n%s\n", yaml.c_str());
    std::abort();
  }
  return 0;
}
