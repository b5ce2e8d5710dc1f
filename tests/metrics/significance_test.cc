#include "attend/metrics/significance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "attend/metrics/bleu.h"

namespace attend::metrics {
namespace {

// A mean: the sum of values and how many.
struct Mean {
  double sum = 0;
  int64_t n = 0;
  Mean& operator+=(const Mean& o) {
    sum += o.sum;
    n += o.n;
    return *this;
  }
};
double Score(const Mean& m) { return m.n ? m.sum / static_cast<double>(m.n) : 0; }

double Normal(random::Stream& s) {
  return std::sqrt(-2 * std::log(1 - s.UniformDouble())) * std::cos(6.283185307179586 * s.UniformDouble());
}

PairedTest Compare(const std::vector<Mean>& a, const std::vector<Mean>& b, int64_t trials = 1000, uint64_t seed = 1) {
  return ComparePaired<Mean>(a, b, Score, trials, seed);
}

std::vector<Mean> Draw(random::Stream& s, int n, double shift) {
  std::vector<Mean> out;
  for (int i = 0; i < n; i++) out.push_back({Normal(s) + shift, 1});
  return out;
}

TEST(Significance, ASystemAgainstItself) {
  random::Stream s(1);
  const std::vector<Mean> a = Draw(s, 50, 0);
  const PairedTest test = Compare(a, a);
  EXPECT_EQ(test.p, 1);
  EXPECT_EQ(test.difference(), 0);
  EXPECT_EQ(test.low, 0);
  EXPECT_EQ(test.high, 0);
  EXPECT_EQ(test.ties, 50);
}

TEST(Significance, AllSwapsOfThreeSegments) {
  // Differences 1, 2, 4: of the eight ways to swap, only none and all give a sum of 7 or more: p is near 2 / 8.
  const std::vector<Mean> a = {{1, 1}, {2, 1}, {4, 1}}, b = {{0, 1}, {0, 1}, {0, 1}};
  const PairedTest test = Compare(a, b, 20000);
  EXPECT_NEAR(test.p, 0.25, 4 * std::sqrt(0.25 * 0.75 / 20000));
  EXPECT_EQ(test.wins, 3);
  EXPECT_EQ(Compare(b, a, 20000).p, test.p);
}

// Equal systems are called different at 0.05 in 5 % of the cases: 1000 of them, so that three standard errors are 2.1 points.
TEST(Significance, NullsAreRejectedAsOftenAsTheLevelSays) {
  int rejected = 0, covered = 0;
  for (uint64_t k = 0; k < 1000; k++) {
    random::Stream s(k, 7);
    const PairedTest test = Compare(Draw(s, 60, 0), Draw(s, 60, 0), 400, k);
    rejected += test.p <= 0.05;
    covered += test.low <= 0 && test.high >= 0;
  }
  EXPECT_NEAR(rejected, 50, 21);
  EXPECT_NEAR(covered, 950, 26);  // the bootstrap's interval is a little narrow at 60 segments
}

TEST(Significance, AShiftIsFoundAtItsPower) {
  // The difference of 100 pairs has deviation sqrt(2) / 10; a shift of 0.4 lies 2.83 of them off: power 81 %.
  int found = 0;
  for (uint64_t k = 0; k < 200; k++) {
    random::Stream s(k, 9);
    found += Compare(Draw(s, 100, 0.4), Draw(s, 100, 0), 400, k).p <= 0.05;
  }
  EXPECT_NEAR(found, 162, 17);
}

TEST(Significance, BleuOfSentences) {
  const std::vector<std::string> reference = {"a b c d e", "f g h i j", "k l m n o"};
  const std::vector<std::vector<std::string>> references = {reference};
  const BleuOptions options;
  const auto statistics = [&](std::vector<std::string> outputs) { return AllBleuStatistics(outputs, references, options); };
  const auto good = statistics(reference), bad = statistics({"a b c d x", "f g h y z", "k l m n o"});
  const auto score = [&](const BleuStatistics& s) { return ScoreBleu(s, options).score; };
  const PairedTest test = ComparePaired<BleuStatistics>(good, bad, score, 1000, 1);
  EXPECT_DOUBLE_EQ(test.first, 100);
  EXPECT_DOUBLE_EQ(test.second, CorpusBleu(std::vector<std::string>{"a b c d x", "f g h y z", "k l m n o"}, references, options).score);
  EXPECT_GT(test.p, 0.2);  // two of three differ: half of all swaps do as much
  EXPECT_EQ(test.wins, 2);
  EXPECT_EQ(test.ties, 1);
  EXPECT_EQ(ComparePaired<BleuStatistics>(good, bad, score, 1000, 1).low, test.low);
}

TEST(Significance, NeedsPairs) {
  EXPECT_THROW(Compare({{1, 1}}, {}), UserError);
  EXPECT_THROW(Compare({}, {}), UserError);
}

TEST(Significance, HolmOfTheTextbook) {
  EXPECT_THAT(Holm(std::vector<double>{0.01, 0.04, 0.03, 0.005}),
              ::testing::Pointwise(::testing::DoubleNear(1e-12), {0.03, 0.06, 0.06, 0.02}));
  EXPECT_THAT(Holm(std::vector<double>{0.9, 0.6}), ::testing::ElementsAre(1, 1));
  EXPECT_TRUE(Holm({}).empty());
}

}  // namespace
}  // namespace attend::metrics
