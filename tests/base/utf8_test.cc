#include "attend/base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace attend::utf8 {
namespace {

TEST(Utf8, EveryScalarValueRoundTrips) {
  for (char32_t c = 0; c <= 0x10FFFF; c++) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    Append(c, text);
    const CodePoint back = Next(text);
    ASSERT_TRUE(back.valid && back.value == c && back.length == text.size()) << std::hex << static_cast<uint32_t>(c);
    for (size_t cut = 1; cut < text.size(); cut++) ASSERT_FALSE(Next(text.substr(0, cut)).valid);
  }
}

TEST(Utf8, FindsIllEncodedBytes) {
  const struct {
    std::string text;
    size_t at;
  } cases[] = {
      {"", std::string::npos},
      {"plain", std::string::npos},
      {std::string("\0\0\0\0\0\0\0\0\0", 9), std::string::npos},
      {"Gr\xC3\xBC\xC3\x9F"
       "e",
       std::string::npos},
      {"12345678\xFF", 8},
      {"1234567\xC3", 7},
      {"\xC0\x80", 0},            // overlong NUL
      {"\xE0\x80\xAF", 0},        // overlong slash
      {"\xF0\x80\x80\xAF", 0},    // the same in four bytes
      {"a\xED\xA0\x80", 1},       // a surrogate
      {"ab\xF4\x90\x80\x80", 2},  // above U+10FFFF
      {"\xF4\x8F\xBF\xBF", std::string::npos},
      {"abc\x80", 3},  // a tail without its lead
      {"\xE3\x81"
       "a",
       0},
      {"12345678\xF0\x9F\x99\x82\xF8", 12},
  };
  for (const auto& c : cases) EXPECT_EQ(FirstInvalid(c.text), c.at) << testing::PrintToString(c.text);
}

TEST(Utf8, NoBreakSpacesDoNotSeparateWords) {
  for (char32_t c : {U' ', U'\t', U'\n', U'\r', U'\f', U'\v', U'\u0085', U'\u2003', U'\u2028', U'\u3000'}) EXPECT_TRUE(IsSpace(c));
  for (char32_t c : {U'\0', U'\x1F', U'a', U'\u00A0', U'\u202F', U'\u2007', U'\u200B', U'\u2581', U'\uFEFF'}) EXPECT_FALSE(IsSpace(c));
}

}  // namespace
}  // namespace attend::utf8
