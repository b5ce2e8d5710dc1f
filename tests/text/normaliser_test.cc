#include "attend/text/normaliser.h"

#include <gtest/gtest.h>
#include <utf8proc.h>

#include <cstdlib>

#include "attend/base/utf8.h"
#include "corpus.h"

namespace attend::text {
namespace {

constexpr Normaliser kPlain{UnicodeForm::none, false, false}, kNfc{UnicodeForm::nfc, false, false}, kNfkc{UnicodeForm::nfkc, false, false};

std::string Utf8proc(const std::string& text, int form) {
  utf8proc_uint8_t* out = nullptr;
  const auto n = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()), &out,
                              static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | form));
  EXPECT_GE(n, 0);
  std::string result(reinterpret_cast<char*>(out), static_cast<size_t>(n));
  std::free(out);
  return result;
}

// Every code point, and every code point between letters and marks that it might compose with.
TEST(Normaliser, ComposesAsUtf8procDoes) {
  const std::string around[][2] = {
      {"", ""}, {"a\u0323", "\u0301b"}, {"\uAC00", "\u11A8"}, {"\u1100", "\u1161"}, {"\u09C7", "\u09BE"}, {"\u30AB", "\uFF9E"}};
  for (char32_t c = 1; c < 0x30000; c += kStride) {
    if (c >= 0xD800 && c < 0xE000) continue;
    for (const auto& [before, after] : around) {
      std::string text = before;
      utf8::Append(c, text);
      text += after;
      ASSERT_EQ(kNfc.Apply(text).text, Utf8proc(text, 0)) << std::hex << static_cast<uint32_t>(c);
      ASSERT_EQ(kNfkc.Apply(text).text, Utf8proc(text, UTF8PROC_COMPAT)) << std::hex << static_cast<uint32_t>(c);
    }
  }
}

TEST(Normaliser, OriginsAreTheRawBytes) {
  //                       0 1-2  3-5 6-8    9-10 11
  const std::string line = "x\u00C4\uFB01e\u0301\u00A0y";
  const Normalised n = Normaliser{UnicodeForm::nfkc, true, true}.Apply(line);
  EXPECT_EQ(n.text, "x\u00E4fi\u00E9 y");
  const std::vector<ByteRange> expected = {{0, 1}, {1, 3}, {1, 3}, {3, 6}, {3, 6}, {6, 9}, {6, 9}, {9, 11}, {11, 12}};
  EXPECT_EQ(n.origins, expected);
}

TEST(Normaliser, LowerCase) {
  EXPECT_EQ((Normaliser{UnicodeForm::none, true, false}.Apply("ÄÖÜ ẞ ΑΣ ЖЩ ABC").text), "äöü ß ασ жщ abc");
  EXPECT_EQ((Normaliser{UnicodeForm::nfc, true, false}.Apply("A\u0308\u1E60").text), "ä\u1E61");
  EXPECT_EQ((Normaliser{UnicodeForm::nfc, true, false}.Apply("H\u0331").text), "\u1E96");  // composed in lower case only
  EXPECT_EQ((Normaliser{UnicodeForm::nfkc, true, false}.Apply("\u24B6\u2126").text), "a\u03C9");
}

TEST(Normaliser, WhiteSpace) {
  const Normaliser collapse{UnicodeForm::none, false, true};
  EXPECT_EQ(collapse.Apply(" \t a\n\u3000 b\u2003").text, "a b");
  EXPECT_EQ(collapse.Apply("a\u00A0b").text, "a\u00A0b");
  EXPECT_EQ(collapse.Apply(" \t ").text, "");
  EXPECT_EQ(collapse.Apply(" a", true).text, " a");
  EXPECT_EQ(collapse.Apply("  ", true).text, "");
  EXPECT_EQ(kPlain.Apply(" \t a").text, " \t a");
  EXPECT_EQ(kPlain.Apply(" ", true).text, "  ");
  EXPECT_EQ(kPlain.Apply("", true).text, "");
}

TEST(Normaliser, IllEncodedBytesBecomeReplacementCharacters) {
  const Normalised n = kPlain.Apply("a\xFF\xE3\x81z");
  EXPECT_EQ(n.text, "a\uFFFD\uFFFD\uFFFDz");
  EXPECT_EQ(n.origins[4], (ByteRange{2, 3}));
}

TEST(Normaliser, TwiceIsOnceAndOriginsAscend) {
  std::vector<std::string> lines = Hostile(), noise = Noise(3000 / kStride);
  lines.erase(lines.end() - 1);  // more marks than Normaliser promises this for
  lines.insert(lines.end(), noise.begin(), noise.end());
  for (UnicodeForm form : {UnicodeForm::none, UnicodeForm::nfc, UnicodeForm::nfkc})
    for (bool lowercase : {false, true})
      for (bool collapse : {false, true})
        for (const std::string& line : lines) {
          const Normaliser normaliser{form, lowercase, collapse};
          const Normalised once = normaliser.Apply(line);
          ASSERT_EQ(normaliser.Apply(once.text).text, once.text) << testing::PrintToString(line);
          ASSERT_TRUE(utf8::Valid(once.text));
          ASSERT_EQ(once.origins.size(), once.text.size());
          for (size_t i = 0; i < once.origins.size(); i++) {
            ASSERT_LT(once.origins[i].begin, once.origins[i].end);
            ASSERT_LE(once.origins[i].end, line.size());
            ASSERT_TRUE(i == 0 || once.origins[i - 1].begin <= once.origins[i].begin);
          }
        }
}

TEST(Words, AreWhatWhiteSpaceSeparates) {
  EXPECT_EQ(Words(" ab\u3000c\u00A0d \t"), (std::vector<ByteRange>{{1, 3}, {6, 10}}));
  EXPECT_TRUE(Words(" \n").empty());
}

TEST(WordCursor, FindsTheWordAtOrAfter) {
  const std::vector<ByteRange> words = {{1, 3}, {6, 10}}, none;
  WordCursor cursor(words);
  std::vector<int32_t> found;
  for (uint32_t i = 0; i < 12; i++) found.push_back(cursor.At(i));
  EXPECT_EQ(found, (std::vector<int32_t>{0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(WordCursor(none).At(0), -1);
}

}  // namespace
}  // namespace attend::text
