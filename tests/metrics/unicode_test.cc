#include "attend/metrics/unicode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attend/metrics/bleu_tokenizer.h"

namespace attend::metrics {
namespace {

using testing::ElementsAre;

std::vector<std::u32string> Words(BleuTokenizer tokenizer, std::u32string_view line) {
  const std::u32string text = Tokenize(tokenizer, line);
  std::vector<std::u32string> out;
  for (const std::u32string_view word : Split(text)) out.emplace_back(word);
  return out;
}

TEST(Unicode, Decode) {
  EXPECT_EQ(Decode("aé漢😀"), U"aé漢😀");
  EXPECT_EQ(Decode(std::string_view("a\0b", 3)), std::u32string(U"a\0b", 3));
  EXPECT_EQ(Decode("\x80\xC3"), U"\uFFFD\uFFFD");            // a stray continuation, a cut sequence
  EXPECT_EQ(Decode("\xED\xA0\x80"), U"\uFFFD\uFFFD\uFFFD");  // a surrogate
  EXPECT_EQ(Decode(""), U"");
}

TEST(Unicode, SplitKnowsPythonsWhiteSpace) {
  EXPECT_THAT(Split(U"\u3000a\u00A0b\u0085c\u2028d\x1C"
                    U"e\u200Bf  "),
              ElementsAre(U"a", U"b", U"c", U"d", U"e\u200Bf"));
  EXPECT_THAT(Split(U" \t"), ElementsAre());
  EXPECT_EQ(Strip(U"\u2003 a b\n"), U"a b");
  EXPECT_EQ(StripRight(U" a\u3000"), U" a");
}

TEST(Unicode, Lower) {
  EXPECT_EQ(Lower(U"STRASSE ÄÖÜ ẞ"), U"strasse äöü ß");
  EXPECT_EQ(Lower(U"İI"), U"i\u0307i");
  EXPECT_EQ(Lower(U"ΟΔΥΣΣΕΥΣ ΑΣ. Σ ΑΣΒ"), U"οδυσσευς ας. σ ασβ");
  EXPECT_EQ(Lower(U"Α'Σ'Α"), U"α'σ'α");
}

TEST(BleuTokenizer, Mteval13a) {
  EXPECT_THAT(
      Words(BleuTokenizer::mteval_13a, U"It's $1,000.5, e.g. 10-year &quot;U.S.&quot;"),
      ElementsAre(U"It's", U"$", U"1,000.5", U",", U"e", U".", U"g", U".", U"10", U"-", U"year", U"\"", U"U", U".", U"S", U".", U"\""));
  EXPECT_THAT(Words(BleuTokenizer::mteval_13a, U"x<skipped>y auto-\nmatic &amp;lt;"), ElementsAre(U"xy", U"automatic", U"<"));
}

TEST(BleuTokenizer, International) {
  EXPECT_THAT(Words(BleuTokenizer::intl, U"„Ja“, 3,5€ 2020."), ElementsAre(U"„", U"Ja", U"“", U",", U"3,5", U"€", U"2020."));
}

TEST(BleuTokenizer, CharactersAndChinese) {
  EXPECT_THAT(Words(BleuTokenizer::character, U"犬 a\u3000b"), ElementsAre(U"犬", U"a", U"b"));
  EXPECT_THAT(Words(BleuTokenizer::zh, U"我有2.5元。OK→x"), ElementsAre(U"我", U"有", U"2.5", U"元", U"。", U"OK", U"→", U"x"));
  EXPECT_THAT(Words(BleuTokenizer::zh, U"𠀀𪛖"), ElementsAre(U"𠀀𪛖"));  // as sacreBLEU acts
  EXPECT_THAT(Words(BleuTokenizer::none, U"a, b\u00A0c"), ElementsAre(U"a,", U"b", U"c"));
}

}  // namespace
}  // namespace attend::metrics
