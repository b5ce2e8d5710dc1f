#include <utf8proc.h>

#include <cstddef>

#include "attend/metrics/unicode.h"

namespace attend::metrics {
namespace {

// Case_Ignorable (Unicode Standard, D136): these categories, and the characters that word breaking allows within a word.
bool IsCaseIgnorable(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      break;
  }
  constexpr std::u32string_view kWithinWords = U"'.:\u00B7\u0387\u055F\u05F4\u2018\u2019\u2024\u2027\uFE13\uFE52\uFE55\uFF07\uFF0E\uFF1A";
  return kWithinWords.find(c) != std::u32string_view::npos;
}

// Cased (D135) of a character that is not case-ignorable: the cased letters, and ordinals, Roman numerals and enclosed letters.
bool IsCased(char32_t c) {
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  if (category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL || category == UTF8PROC_CATEGORY_LT) return true;
  return c == 0xAA || c == 0xBA || (c >= 0x2160 && c <= 0x217F) || (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
         (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

// SpecialCasing's Final_Sigma: a cased letter before and none after, where case-ignorable characters do not count.
// `before` is the last character before the sigma that is not case-ignorable, 0 if there is none.
bool IsFinal(char32_t before, std::u32string_view after) {
  if (before == 0 || !IsCased(before)) return false;
  size_t i = 0;
  while (i < after.size() && IsCaseIgnorable(after[i])) ++i;
  return i == after.size() || !IsCased(after[i]);
}

}  // namespace

std::u32string Lower(std::u32string_view text) {
  constexpr char32_t kCapitalSigma = 0x3A3, kSigma = 0x3C3, kFinalSigma = 0x3C2, kCapitalDottedI = 0x130, kDotAbove = 0x307;
  std::u32string out;
  out.reserve(text.size());
  char32_t before = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (c == kCapitalSigma) {
      out += IsFinal(before, text.substr(i + 1)) ? kFinalSigma : kSigma;
    } else if (c == kCapitalDottedI) {
      out += U'i';
      out += kDotAbove;
    } else if (c < 0x80) {
      out += c >= U'A' && c <= U'Z' ? c + 32 : c;
    } else {
      out += static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
    }
    if (!IsCaseIgnorable(c)) before = c;
  }
  return out;
}

}  // namespace attend::metrics
