#include <cmath>
#include <map>
#include <set>

#include "attend/search/search.h"
#include "gtest/gtest.h"
#include "tests/search/fake_decoder.h"

namespace attend::search {
namespace {

SearchOptions Options(int nbest, int max_length) {
  SearchOptions o;
  o.sample = true;
  o.nbest = nbest;
  o.max_length = max_length;
  return o;
}

std::vector<Hypotheses> Find(const FakeModel& model, const std::vector<Sentence>& sentences, const SearchOptions& options) {
  FakeDecoder decoder(model, sentences);
  return Search(decoder, sentences, TestSymbols(), options);
}

// All outputs of at most two ids, drawn as often as the model says (the start symbol is forbidden, the rest renormalised).
TEST(Sample, FollowsTheModel) {
  FakeModel model{.vocabulary = 5, .sharpness = 1};
  const int samples = 1000, seeds = 20;
  std::map<std::vector<int32_t>, double> found;
  const std::vector<Sentence> one = TestSentences(1);
  for (int seed = 0; seed < seeds; seed++) {
    SearchOptions options = Options(samples, 2);
    options.seed = seed;
    const Hypotheses drawn = Find(model, one, options)[0];
    for (const Hypothesis& h : drawn) {
      std::vector<int32_t> key = h.ids;
      if (h.complete) key.push_back(kEnd);
      found[key] += 1;
    }
  }
  const auto next = [&](const std::vector<int32_t>& prefix) {
    std::vector<double> p = model.LogProbs(one[0].example, prefix);
    for (double& x : p) x = std::exp(x);
    const double rest = 1 - p[kStart];
    for (double& x : p) x /= rest;
    p[kStart] = 0;
    return p;
  };
  double chi = 0, freedom = -1, mass = 0;
  const auto compare = [&](const std::vector<int32_t>& key, double p) {
    const double expected = p * samples * seeds;
    chi += (found[key] - expected) * (found[key] - expected) / expected;
    freedom++;
    mass += p;
  };
  const std::vector<double> first = next({});
  compare({kEnd}, first[kEnd]);
  for (int32_t a = 2; a < 5; a++) {
    const std::vector<double> second = next({a});
    compare({a, kEnd}, first[static_cast<size_t>(a)] * second[kEnd]);
    for (int32_t b = 2; b < 5; b++) {
      const double p = first[static_cast<size_t>(a)] * second[static_cast<size_t>(b)], end = next({a, b})[kEnd];
      compare({a, b, kEnd}, p * end);
      compare({a, b}, p * (1 - end));
    }
  }
  EXPECT_NEAR(mass, 1, 1e-9);
  EXPECT_LT(chi, freedom + 5 * std::sqrt(2 * freedom));
}

TEST(Sample, SeedsRepeatAndDiffer) {
  FakeModel model{.vocabulary = 30};
  const std::vector<Sentence> sentences = TestSentences(5);
  SearchOptions options = Options(4, 20);
  const std::vector<Hypotheses> a = Find(model, sentences, options), b = Find(model, sentences, options);
  options.seed = 2;
  const std::vector<Hypotheses> c = Find(model, sentences, options);
  options.seed = 1;
  options.nbest = 2;
  const std::vector<Hypotheses> fewer = Find(model, sentences, options);
  int differ = 0;
  for (size_t s = 0; s < 5; s++) {
    ASSERT_EQ(a[s].size(), 4u);
    for (size_t i = 0; i < 4; i++) {
      EXPECT_EQ(a[s][i].ids, b[s][i].ids);
      differ += a[s][i].ids != c[s][i].ids;
      differ += i > 0 && a[s][i].ids != a[s][0].ids;
      if (i < 2) {
        EXPECT_EQ(a[s][i].ids, fewer[s][i].ids);
      }
    }
  }
  EXPECT_GT(differ, 25);
}

TEST(Sample, TemperatureZeroIsGreedy) {
  FakeModel model{.vocabulary = 30, .end_bonus = 2};
  const std::vector<Sentence> sentences = TestSentences(20);
  SearchOptions options = Options(1, 20);
  options.temperature = 0;
  const std::vector<Hypotheses> drawn = Find(model, sentences, options);
  options.sample = false;
  options.beam = 1;
  const std::vector<Hypotheses> greedy = Find(model, sentences, options);
  for (size_t i = 0; i < 20; i++) {
    EXPECT_EQ(drawn[i].at(0).ids, greedy[i].at(0).ids);
    EXPECT_EQ(drawn[i][0].score, greedy[i][0].score);
  }
}

TEST(Sample, KeepsPrefixLimitsAndForbiddenIds) {
  FakeModel model{.vocabulary = 8, .end_bonus = 1};
  std::vector<Sentence> sentences = TestSentences(30);
  for (Sentence& s : sentences) s.prefix = {7, 3};
  SearchOptions options = Options(3, 9);
  options.min_length = 4;
  options.no_repeat_ngram = 2;
  for (const Hypotheses& hypotheses : Find(model, sentences, options))
    for (const Hypothesis& h : hypotheses) {
      EXPECT_EQ(h.ids.at(0), 7);
      EXPECT_EQ(h.ids.at(1), 3);
      EXPECT_GE(h.ids.size(), 4u);
      EXPECT_LE(h.ids.size(), 9u);
      EXPECT_TRUE(h.complete || h.ids.size() == 9);
      std::set<std::pair<int32_t, int32_t>> seen;
      for (size_t t = 0; t < h.ids.size(); t++) {
        EXPECT_NE(h.ids[t], kStart);
        EXPECT_TRUE(t == 0 || seen.insert({h.ids[t - 1], h.ids[t]}).second);
      }
    }
}

}  // namespace
}  // namespace attend::search
