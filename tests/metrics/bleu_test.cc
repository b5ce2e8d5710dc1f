#include "attend/metrics/bleu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace attend::metrics {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using References = std::vector<std::vector<std::string>>;

template <class F>
std::string ErrorOf(F f) {
  try {
    f();
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Bleu, PapinenisClippingExample) {
  // Papineni et al. 2002, section 2.1: "the" seven times has a modified unigram precision of 2/7.
  const std::vector<std::string> references = {"the cat is on the mat", "there is a cat on the mat"};
  const BleuStatistics s = SegmentBleu("the the the the the the the", references, {});
  EXPECT_EQ(s.counts[0], 2);
  EXPECT_EQ(s.totals[0], 7);
  EXPECT_THAT(s.counts, ElementsAre(2, 0, 0, 0));
  EXPECT_THAT(s.totals, ElementsAre(7, 6, 5, 4));
  EXPECT_EQ(s.reference_length, 7);
}

TEST(Bleu, ClosestReferenceLengthTakesTheShorterAtATie) {
  const std::vector<std::string> references = {"a b c d e", "a b c", "a b c d e f g"};
  EXPECT_EQ(SegmentBleu("a b c d", references, {}).reference_length, 3);
}

TEST(Bleu, PerfectAndEmpty) {
  const std::vector<std::string> lines = {"one two three four five", "six seven eight nine"};
  EXPECT_NEAR(CorpusBleu(lines, References{lines}, {}).score, 100, 1e-9);
  const BleuScore nothing = CorpusBleu(std::vector<std::string>{"", ""}, References{lines}, {});
  EXPECT_EQ(nothing.score, 0);
  EXPECT_EQ(nothing.brevity_penalty, 0);
  const BleuScore both = CorpusBleu(std::vector<std::string>{""}, References{{""}}, {});
  EXPECT_EQ(both.score, 0);
  EXPECT_EQ(both.brevity_penalty, 1);
}

TEST(Bleu, BrevityPenaltyAndSmoothingByHand) {
  // Precisions 3/3 2/2 1/1 and no 4-gram: 0 without effective order, the mean of three orders with it.
  const std::vector<std::string> references = {"a b c d"};
  BleuOptions options;
  EXPECT_EQ(SentenceBleu("a b c", references, options).score, 0);
  options.effective_order = true;
  EXPECT_NEAR(SentenceBleu("a b c", references, options).score, 100 * std::exp(1 - 4.0 / 3), 1e-12);
  // Precisions 4/5, 2/4, 0/3, 0/2: exp halves once and twice.
  options = {};
  const std::vector<std::string> other = {"a b x d e"};
  EXPECT_THAT(SegmentBleu("a b c d e", other, options).counts, ElementsAre(4, 2, 0, 0));
  const double expected = 100 * std::exp((std::log(4.0 / 5) + std::log(2.0 / 4) + std::log(1 / (2 * 3.0)) + std::log(1 / (4 * 2.0))) / 4);
  EXPECT_NEAR(SentenceBleu("a b c d e", other, options).score, expected, 1e-12);
  options.smoothing = BleuSmoothing::none;
  EXPECT_EQ(SentenceBleu("a b c d e", other, options).score, 0);
}

TEST(Bleu, SegmentsAddUpToTheCorpus) {
  const std::vector<std::string> outputs = {"the cat sat on the mat .", "a dog", "", "it is 1,000.5 metres"};
  const References references = {{"the cat is on the mat .", "the dog runs", "nothing", "it was 1,000.5 metres away"}};
  BleuStatistics sum;
  for (const BleuStatistics& segment : AllBleuStatistics(outputs, references, {})) sum += segment;
  const BleuScore corpus = CorpusBleu(outputs, references, {});
  EXPECT_EQ(sum, corpus.statistics);
  EXPECT_EQ(ScoreBleu(sum, {}).score, corpus.score);
}

TEST(Bleu, Signature) {
  EXPECT_EQ(BleuSignature({}, 1), "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0");
  BleuOptions options{BleuTokenizer::character, true, BleuSmoothing::add_k, 0.5, true};
  EXPECT_EQ(BleuSignature(options, 3), "nrefs:3|case:lc|eff:yes|tok:char|smooth:add-k[0.50]|version:2.6.0");
}

TEST(Bleu, BadInput) {
  const std::vector<std::string> two = {"a", "b"};
  EXPECT_EQ(ErrorOf([&] { CorpusBleu(two, References{{"a"}}, {}); }),
            "[bleu] expected as many reference lines as output lines; found 2 lines of output and 1 of reference");
  EXPECT_THAT(ErrorOf([&] { CorpusBleu({}, References{{}}, {}); }), HasSubstr("at least one line"));
  EXPECT_THAT(ErrorOf([&] { CorpusBleu(two, {}, {}); }), HasSubstr("at least one reference"));
  EXPECT_THAT(ErrorOf([&] { SegmentBleu("a", {}, {}); }), HasSubstr("at least one reference"));
  BleuOptions negative;
  negative.smoothing = BleuSmoothing::floor;
  for (const double value : {-1.0, std::nan(""), static_cast<double>(INFINITY)}) {
    negative.smoothing_value = value;
    EXPECT_THAT(ErrorOf([&] { CorpusBleu(two, References{two}, negative); }), HasSubstr("smoothing value"));
  }
}

TEST(Bleu, IllEncodedLinesAreScored) {
  const std::vector<std::string> bad = {"\xFF\xC3 a b c d", std::string("\xF0\x9F\0 x", 5)};
  EXPECT_NEAR(CorpusBleu(bad, References{bad}, {}).score, 100, 1e-9);
}

TEST(BleuTokenizer, RefusesWhatNeedsAModel) {
  EXPECT_EQ(ParseBleuTokenizer("bleu.tokenizer", "zh"), BleuTokenizer::zh);
  EXPECT_EQ(ErrorOf([] { ParseBleuTokenizer("bleu.tokenizer", "ja-mecab"); }),
            "[bleu.tokenizer] expected one of 13a, intl, char, none, zh; found ja-mecab, a tokeniser of sacreBLEU whose dictionary or "
            "model Attend does not bring");
  EXPECT_EQ(ErrorOf([] { ParseBleuTokenizer("bleu.tokenizer", "13b"); }),
            "[bleu.tokenizer] expected one of 13a, intl, char, none, zh; found 13b");
}

}  // namespace
}  // namespace attend::metrics
