#include "attend/data/links.h"

#include <charconv>

#include "attend/base/utf8.h"

namespace attend::data {

bool ParseLinks(std::string_view text, std::vector<Link>& links) {
  links.clear();
  const char *p = text.data(), *end = p + text.size();
  while (true) {
    while (p < end && (*p == ' ' || *p == '\t')) p++;
    if (p == end) return true;
    Link link;
    for (int32_t* side : {&link.source, &link.target}) {
      const auto [next, error] = std::from_chars(p, end, *side);
      if (error != std::errc() || *side < 0) return false;
      p = next;
      if (side == &link.source && (p == end || *p++ != '-')) return false;
    }
    if (p < end && *p != ' ' && *p != '\t') return false;
    links.push_back(link);
  }
}

int32_t CountWords(std::string_view text) {
  int32_t words = 0;
  for (bool inside = false; !text.empty();) {
    const utf8::CodePoint c = utf8::Next(text);
    const bool space = utf8::IsSpace(c.value);
    words += !space && !inside;
    inside = !space;
    text.remove_prefix(c.length);
  }
  return words;
}

}  // namespace attend::data
