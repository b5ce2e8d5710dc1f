#include "attend/metrics/chrf.h"

#include <gtest/gtest.h>

namespace attend::metrics {
namespace {

using References = std::vector<std::vector<std::string>>;

TEST(Chrf, ByHand) {
  // "abcd" and "abce": 3 of 4 characters, 2 of 3 pairs, 1 of 2 triples, 0 of 1: mean 23/48 for precision and recall alike.
  const std::vector<std::string> references = {"ab ce"};
  ChrfOptions options;
  EXPECT_NEAR(SentenceChrf("a bcd", references, options), 100.0 * 23 / 48, 1e-12);
  options.character_order = 1;
  options.whitespace = true;
  EXPECT_NEAR(SentenceChrf("a bcd", references, options), 80, 1e-12);
}

TEST(Chrf, BetaWeighsRecall) {
  // One character of the output's one, of the reference's two: precision 1, recall 1/2; F_β = (1 + β²)·P·R / (β²·P + R).
  const std::vector<std::string> references = {"ab"};
  ChrfOptions options;
  options.character_order = 1;
  EXPECT_NEAR(SentenceChrf("a", references, options), 100 * 5 * 0.5 / 4.5, 1e-12);
  options.beta = 1;
  EXPECT_NEAR(SentenceChrf("a", references, options), 100 * 2 * 0.5 / 1.5, 1e-12);
}

TEST(Chrf, BestReferenceCounts) {
  const std::vector<std::string> references = {"zzzz", "the same words", "the sane words"};
  EXPECT_NEAR(SentenceChrf("the same words", references, {}), 100, 1e-12);
}

TEST(Chrf, WordsOfChrfPlusPlus) {
  ChrfOptions options;
  options.word_order = 1;
  const std::vector<std::string> references = {"(hi) there!"};
  const ChrfStatistics s = SegmentChrf("(hi there !", references, options);
  EXPECT_EQ(s.back(), (ChrfCounts{4, 4, 2}));  // ( hi there !  against  (hi ) there !
}

TEST(Chrf, NamesAndSignatures) {
  ChrfOptions options;
  EXPECT_EQ(ChrfName(options), "chrF2");
  EXPECT_EQ(ChrfSignature(options, 1), "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0");
  options.word_order = 2;
  EXPECT_EQ(ChrfMetric(50, options, 2).name, "chrF2++");
  EXPECT_EQ(ChrfMetric(50, options, 2).kind, MetricKind::chrf_plus_plus);
}

TEST(Chrf, BadInput) {
  const std::vector<std::string> one = {"a"};
  ChrfOptions options;
  options.character_order = 0;
  EXPECT_THROW(CorpusChrf(one, References{one}, options), UserError);
  options = {};
  options.word_order = -1;
  EXPECT_THROW(CorpusChrf(one, References{one}, options), UserError);
  EXPECT_THROW(CorpusChrf(one, References{{"a", "b"}}, {}), UserError);
  EXPECT_THROW(SegmentChrf("a", {}, {}), UserError);
  EXPECT_EQ(CorpusChrf(std::vector<std::string>{""}, References{{""}}, {}), 0);
}

}  // namespace
}  // namespace attend::metrics
