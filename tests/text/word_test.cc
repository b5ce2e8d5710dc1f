#include "attend/text/word.h"

#include <gtest/gtest.h>

#include "corpus.h"

namespace attend::text {
namespace {

// Tokens with < and > where they join.
std::string Cut(const std::string& text) {
  std::string out;
  for (const Word& w : SplitWords(text))
    out += (out.empty() ? "" : "|") + std::string(w.joins & kJoinsLeft ? "<" : "") + text.substr(w.begin, w.end - w.begin) +
           (w.joins & kJoinsRight ? ">" : "");
  return out;
}

TEST(SplitWords, SeparatesPunctuation) {
  const struct {
    const char *text, *expected;
  } cases[] = {
      {"Ein Mann, der (laut) lacht.", "Ein|Mann|<,|der|(>|laut|<)|lacht|<."},
      {"\"No!\" he said...", "\">|No|<!|<\"|he|said|<.|<.|<."},
      {"l'homme don't", "l|<'>|homme|don|<'>|t"},
      {"well-known - a-b -- -c", "well-known|-|a-b|-|<-|->|c"},
      {"3.14 1,000 10:30 3. a.b", "3.14|1,000|10:30|3|<.|a|<.>|b"},
      {"a/b", "a|</>|b"},
      {"snake_case #tag", "snake_case|#>|tag"},
      {"שלום, עולם", "שלום|<,|עולם"},
      {"👩‍👩‍👧 👍🏽!", "👩‍👩‍👧|👍🏽|<!"},
      {"क्षि e\u0301a", "क्षि|e\u0301a"},
      {"a  b ", "a| >|b|< "},
      {"  ", " |< "},
      {"", ""},
  };
  for (const auto& c : cases) EXPECT_EQ(Cut(c.text), c.expected) << c.text;
}

TEST(WordTokenizer, AWordIsTheSameBesideAnyPunctuation) {
  TextOptions options;
  options.tokenizer = TokenizerKind::word;
  options.minimum_count = 1;
  const auto tokenizer = Train(options, {"one two", "(one) \"two\", x"}).tokenizer;
  const auto ids = tokenizer->Encode("two (one), two").ids;
  ASSERT_EQ(ids.size(), 6u);
  EXPECT_EQ(ids[0], ids[5]);
  EXPECT_EQ(tokenizer->Decode(ids), "two (one), two");
}

TEST(WordTokenizer, RareWordsAreUnknownAndReplaceable) {
  TextOptions options;
  options.tokenizer = TokenizerKind::word;
  const Trained trained = Train(options, {"a cat , a dog ,", "a cat , rare"});
  const Encoding e = trained.tokenizer->Encode("rare cat, new");
  EXPECT_EQ(e.ids[0], kUnknown);
  EXPECT_EQ(trained.tokenizer->Pieces("rare cat, new", e), (std::vector<std::string>{"rare", "cat", ",", "new"}));
  const std::vector<std::string> words = {"seltene", "neue"};
  EXPECT_EQ(trained.tokenizer->DecodeWithWords(trained.tokenizer->Encode("rare cat , new").ids, words).text, "seltene cat , neue");
  EXPECT_EQ(trained.notes.back(), "2 of 10 words of the training text are unknown");
}

}  // namespace
}  // namespace attend::text
