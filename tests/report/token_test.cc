#include "attend/report/token.h"

#include <gmock/gmock.h>

namespace attend::report {
namespace {

using testing::ElementsAre;

TEST(Token, WhatCannotBeSeenIsMarked) {
  EXPECT_EQ(VisibleToken(" the\n"), "␣the⏎");
  EXPECT_EQ(VisibleToken("\t\r"), "⇥␍");
  EXPECT_EQ(VisibleToken(""), "∅");
  EXPECT_EQ(VisibleToken("\x1b[31m"), "␛[31m");
  EXPECT_EQ(VisibleToken("\xe2\x80\xae"
                         "abc"),
            "⟨U+202E⟩abc");
  EXPECT_EQ(VisibleToken("\xcc\x81"), "◌\xcc\x81");  // a combining acute accent alone
  EXPECT_EQ(VisibleToken("\xc2\xa0"), "⟨U+00A0⟩");
  EXPECT_EQ(VisibleToken(std::string_view("a\0b", 3)), "a␀b");
}

TEST(Token, BytesThatFormNoCharacterAreHexadecimal) {
  EXPECT_EQ(VisibleToken("\xe4\xbd"), "⟨E4 BD⟩");  // the beginning of a Chinese character
  EXPECT_EQ(VisibleToken("a\xa0"
                         "b"),
            "a⟨A0⟩b");
  EXPECT_EQ(VisibleToken("\xc0\x80"), "⟨C0 80⟩");         // overlong
  EXPECT_EQ(VisibleToken("\xed\xa0\x80"), "⟨ED A0 80⟩");  // a surrogate
  EXPECT_EQ(ValidText("\xff \n"), "⟨FF⟩ \n");
  EXPECT_EQ(VisibleText("a b\n\xff"), "a b⏎⟨FF⟩");
}

TEST(Token, PlainTokensStayAsTheyAre) {
  for (const char* token : {"▁house", "你好", "שלום", "👩‍💻", "</s>", "naïve"}) EXPECT_EQ(VisibleToken(token), token);
}

TEST(Token, Graphemes) {
  EXPECT_THAT(Graphemes("e\xcc\x81👩‍💻你"), ElementsAre("e\xcc\x81", "👩‍💻", "你"));
  EXPECT_EQ(DisplayWidth("e\xcc\x81👩‍💻你a"), 1 + 2 + 2 + 1);
  EXPECT_EQ(FitWidth("你好吗", 5, "…"), "你好…");
  EXPECT_EQ(FitWidth("你好吗", 6, "…"), "你好吗");
  EXPECT_EQ(FitWidth("👩‍💻👩‍💻", 3, "…"), "👩‍💻…");
}

TEST(Token, Direction) {
  EXPECT_TRUE(StartsRightToLeft("(שלום"));
  EXPECT_FALSE(StartsRightToLeft("a שלום"));
  EXPECT_FALSE(StartsRightToLeft("123"));
  EXPECT_TRUE(IsRightToLeft({"السلام", "عليكم", "</s>"}));
  EXPECT_FALSE(IsRightToLeft({"the", "word", "שלום"}));
  EXPECT_FALSE(IsRightToLeft({}));
}

TEST(Token, Markup) { EXPECT_EQ(EscapeMarkup("<a href=\"x\" id='y'>&"), "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;"); }

}  // namespace
}  // namespace attend::report
