#include "attend/text/trainer.h"

#include <gtest/gtest.h>

#include "attend/base/error.h"
#include "attend/text/sample.h"
#include "attend/text/tokenizers.h"
#include "corpus.h"

namespace attend::text {
namespace {

TextOptions Options(TokenizerKind kind, int64_t vocabulary) {
  TextOptions options;
  options.tokenizer = kind;
  options.vocabulary = vocabulary;
  return options;
}

constexpr TokenizerKind kKinds[] = {TokenizerKind::bpe, TokenizerKind::unigram, TokenizerKind::word, TokenizerKind::character};

TEST(Trainer, SameTextSameTokenizer) {
  for (TokenizerKind kind : kKinds) {
    TextOptions options = Options(kind, 500);
    options.sample_lines = 800;
    const Vocabulary a = Train(options, Invented(2000)).tokenizer->vocabulary(), b = Train(options, Invented(2000)).tokenizer->vocabulary();
    EXPECT_EQ(a.pieces, b.pieces);
    EXPECT_EQ(a.scores, b.scores);
    EXPECT_EQ(a.joins, b.joins);
  }
}

TEST(Trainer, HasTheVocabularyAskedFor) {
  for (TokenizerKind kind : {TokenizerKind::bpe, TokenizerKind::unigram, TokenizerKind::word}) {
    const Trained trained = Train(Options(kind, 300), Invented(2000));
    EXPECT_EQ(trained.tokenizer->size(), 300);
    EXPECT_TRUE(kind == TokenizerKind::word || trained.notes.empty());
  }
}

TEST(Trainer, LowersTheVocabularyToTheTextAndSaysSo) {
  for (TokenizerKind kind : kKinds)
    for (const std::vector<std::string>& text :
         {std::vector<std::string>{"a rose is a rose is a rose"}, {"x x"}, {"aaaa", "", "aaaa aaaa"}}) {
      const Trained trained = Train(Options(kind, 8000), text);
      EXPECT_LT(trained.tokenizer->size(), 100);
      ASSERT_FALSE(trained.notes.empty());
      EXPECT_EQ(trained.notes[0],
                "the vocabulary has " + std::to_string(trained.tokenizer->size()) + " pieces, not 8000: the text has no more");
    }
}

TEST(Trainer, RefusesWhatCannotBe) {
  for (TokenizerKind kind : kKinds) {
    EXPECT_THROW(Train(Options(kind, 100), {}), UserError);
    EXPECT_THROW(Train(Options(kind, 100), {"", "  ", "\xFF\xFE not UTF-8"}), UserError);
  }
  std::string alphabet;
  for (char32_t c = 0x4E00; c < 0x4E00 + 500; c++) utf8::Append(c, alphabet);
  try {
    TextOptions options = Options(TokenizerKind::bpe, 100);
    options.character_coverage = 1;
    Train(options, {alphabet});
    FAIL();
  } catch (const UserError& e) {
    EXPECT_STREQ(e.what(), "[text.vocabulary] expected at least 505, for the 500 characters of the text; found 100");
  }
  EXPECT_THROW(Train(Options(TokenizerKind::unigram, 100), {alphabet}), UserError);
  TextOptions options = Options(TokenizerKind::word, 100);
  options.minimum_count = 3;
  EXPECT_THROW(Train(options, {"a a b"}), UserError);
  options = Options(TokenizerKind::bpe, 100);
  options.character_coverage = 0.5;
  EXPECT_THROW(Train(options, {"a a b"}), UserError);
}

TEST(Trainer, LearnsFromASampleOfLines) {
  TextOptions options = Options(TokenizerKind::character, 100);
  options.sample_lines = 10;
  std::vector<std::string> lines(1000, "a");
  const Trained trained = Train(options, lines);
  EXPECT_EQ(trained.notes[0], "the tokenizer learns from 10 of 1000 lines");
}

TEST(Sample, IsUniformWithoutReplacement) {
  std::vector<std::string> first, second;
  for (int i = 0; i < 30; i++) first.push_back(std::to_string(i));
  for (int i = 30; i < 50; i++) second.push_back(std::to_string(i));
  const Lines texts[] = {Of(first), Of(second)};
  std::vector<int> drawn(50);
  for (uint64_t seed = 0; seed < 5000; seed++) {
    int last = -1, n = 0;
    ForSample(texts, 5, seed, [&](std::string_view line) {
      const int i = std::stoi(std::string(line));
      EXPECT_GT(i, last);
      last = i;
      drawn[static_cast<size_t>(i)]++;
      n++;
      return true;
    });
    ASSERT_EQ(n, 5);
  }
  for (int n : drawn) EXPECT_NEAR(n, 500, 5 * 22);  // 5 sigma of a binomial (5000, 0.1)
}

TEST(Sample, ShrinksUntilItFits) {
  std::vector<std::string> lines(1000, "ten bytes.");
  lines[500] = std::string(90, 'x');
  const Lines texts[] = {Of(lines)};
  size_t kept = 0;
  const auto add = [&](std::string_view line) {
    kept += line.size();
    return line.size();
  };
  const auto clear = [&] { kept = 0; };
  EXPECT_EQ(ForFittingSample(texts, 5000, 1, 1 << 20, add, clear), 1000);
  kept = 0;
  const int64_t used = ForFittingSample(texts, 1000, 1, 3000, add, clear);
  EXPECT_LE(kept, 3000u);
  EXPECT_GT(used, 200);
  EXPECT_LT(used, 300);
  kept = 0;
  EXPECT_EQ(ForFittingSample(texts, 1000, 1, 1, add, clear), 1);  // never without any line
}

TEST(Trainer, LongLinesAndWordsAreCutNotLost) {
  std::string line, word;
  for (int i = 0; i < 3000; i++) line += "lo mi ";
  for (int i = 0; i < 3000; i++) word += "日本";
  for (TokenizerKind kind : {TokenizerKind::bpe, TokenizerKind::unigram}) {
    const auto tokenizer = Train(Options(kind, 60), {line + word}).tokenizer;
    EXPECT_EQ(tokenizer->Encode("lo mi 日本").Unknowns(), 0);
  }
}

TEST(TrainTokenizers, SharedOrSeparate) {
  const std::vector<std::string> source = {"aa bb aa bb"}, target = {"cc dd cc dd"};
  const Lines sources[] = {Of(source)}, targets[] = {Of(target)};
  TextOptions options = Options(TokenizerKind::word, 100);
  const TrainedPair shared = TrainTokenizers(options, sources, targets, 1);
  EXPECT_TRUE(shared.tokenizers.shared());
  EXPECT_EQ(shared.tokenizers.source->size(), kSpecials + 4);
  options.shared = false;
  const TrainedPair apart = TrainTokenizers(options, sources, targets, 1);
  EXPECT_FALSE(apart.tokenizers.shared());
  EXPECT_EQ(apart.tokenizers.source->Encode("aa cc").Unknowns(), 1);
  EXPECT_EQ(apart.tokenizers.target->Encode("cc dd").Unknowns(), 0);
  EXPECT_EQ(apart.notes[1].substr(0, 8), "target: ");
}

}  // namespace
}  // namespace attend::text
