#include <algorithm>
#include <functional>
#include <limits>

#include "attend/base/error.h"
#include "attend/search/penalty.h"
#include "attend/search/search.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/search/fake_decoder.h"

namespace attend::search {
namespace {

SearchOptions Options(int beam, int max_length) {
  SearchOptions o;
  o.beam = beam;
  o.max_length = max_length;
  o.max_extra = 1000;
  return o;
}

std::vector<Hypotheses> Find(const FakeModel& model, const std::vector<Sentence>& sentences, const SearchOptions& options,
                             Maps maps = Maps::none) {
  FakeDecoder decoder(model, sentences);
  return Search(decoder, sentences, TestSymbols(), options, maps);
}

struct Complete {
  std::vector<int32_t> ids;
  double log_prob, score;
};

// Every complete output of at most max_length ids, best first, by definition.
std::vector<Complete> Enumerate(const FakeModel& model, int64_t sentence, const SearchOptions& options) {
  std::vector<Complete> out;
  const std::function<void(std::vector<int32_t>&, double, std::vector<float>)> visit = [&](std::vector<int32_t>& prefix, double log_prob,
                                                                                           std::vector<float> coverage) {
    const std::vector<double> p = model.LogProbs(sentence, prefix);
    const std::vector<float> attention = model.Attention(sentence, prefix, 1);
    for (size_t j = 0; j < coverage.size(); j++) coverage[j] += attention[j];
    const double total = log_prob + p[kEnd], length = static_cast<double>(prefix.size()) + 1;
    double score = total;
    if (options.length_penalty == LengthPenalty::average) score = total / std::pow(length, options.length_alpha);
    if (options.length_penalty == LengthPenalty::wu) score = total / std::pow((5 + length) / 6, options.length_alpha);
    if (options.coverage_penalty > 0)
      for (float c : coverage) score += options.coverage_penalty * std::log(std::min(1.0, static_cast<double>(c)));
    if (static_cast<int>(prefix.size()) >= options.min_length) out.push_back({prefix, total, score});
    if (static_cast<int>(prefix.size()) == options.max_length) return;
    for (int32_t id = 2; id < model.vocabulary; id++) {
      prefix.push_back(id);
      visit(prefix, log_prob + p[static_cast<size_t>(id)], coverage);
      prefix.pop_back();
    }
  };
  std::vector<int32_t> prefix;
  visit(prefix, 0, std::vector<float>(static_cast<size_t>(model.keys), 0));
  std::stable_sort(out.begin(), out.end(), [](const Complete& a, const Complete& b) { return a.score > b.score; });
  return out;
}

struct Penalty {
  LengthPenalty kind;
  double alpha, coverage;
};

class Exhaustive : public testing::TestWithParam<Penalty> {};

// 4 words, at most 4 ids: 341 outputs, so a beam of 341 loses none; patience 0 stops only when nothing can win.
TEST_P(Exhaustive, WideBeamFindsTheBestOutputs) {
  FakeModel model;
  for (double bonus : {-1.0, 0.0, 2.0}) {
    model.end_bonus = bonus;
    SearchOptions options = Options(341, 4);
    options.length_penalty = GetParam().kind;
    options.length_alpha = GetParam().alpha;
    options.coverage_penalty = GetParam().coverage;
    options.patience = 0;
    options.nbest = 10;
    for (int min_length : {0, 2}) {
      options.min_length = min_length;
      const std::vector<Sentence> sentences = TestSentences(5);
      const std::vector<Hypotheses> found = Find(model, sentences, options);
      for (size_t s = 0; s < sentences.size(); s++) {
        const std::vector<Complete> expected = Enumerate(model, sentences[s].example, options);
        ASSERT_EQ(found[s].size(), 10u);
        for (size_t i = 0; i < 10; i++) {
          EXPECT_EQ(found[s][i].ids, expected[i].ids);
          EXPECT_TRUE(found[s][i].complete);
          EXPECT_NEAR(found[s][i].log_prob, expected[i].log_prob, 1e-5);
          EXPECT_NEAR(found[s][i].score, expected[i].score, 1e-5);
        }
      }
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Penalties, Exhaustive,
                         testing::Values(Penalty{LengthPenalty::none, 1, 0}, Penalty{LengthPenalty::average, 1, 0},
                                         Penalty{LengthPenalty::average, 0.5, 0}, Penalty{LengthPenalty::wu, 0.6, 0},
                                         Penalty{LengthPenalty::wu, 1, 0.3}, Penalty{LengthPenalty::average, 1, 0.2}));

TEST(Beam, PenaltiesFollowTheirFormulas) {
  SearchOptions o;
  o.length_penalty = LengthPenalty::wu;
  o.length_alpha = 0.6;
  EXPECT_NEAR(LengthDivisor(o, 1), 1, 1e-12);
  EXPECT_NEAR(LengthDivisor(o, 13), std::pow(3, 0.6), 1e-12);
  o.length_penalty = LengthPenalty::average;
  EXPECT_NEAR(LengthDivisor(o, 8), std::pow(8, 0.6), 1e-12);
  o.length_penalty = LengthPenalty::none;
  EXPECT_EQ(LengthDivisor(o, 8), 1);
  o.coverage_penalty = 0.5;
  EXPECT_NEAR(CoveragePenalty(o, std::vector<float>{0.5f, 2, 1}), 0.5 * std::log(0.5), 1e-12);
  EXPECT_NEAR(CoveragePenalty(o, std::vector<float>{0}), 0.5 * std::log(1e-6), 1e-12);
}

// Takes the best id until the end symbol: what greedy search is.
TEST(Beam, OfOneIsGreedy) {
  FakeModel model{.vocabulary = 50, .sharpness = 3, .end_bonus = 1};
  const std::vector<Sentence> sentences = TestSentences(64);
  for (LengthPenalty penalty : {LengthPenalty::none, LengthPenalty::average}) {
    SearchOptions options = Options(1, 12);
    options.length_penalty = penalty;
    const std::vector<Hypotheses> found = Find(model, sentences, options);
    int complete = 0;
    for (size_t s = 0; s < sentences.size(); s++) {
      std::vector<int32_t> ids;
      double log_prob = 0;
      bool ended = false;
      for (;;) {
        std::vector<double> p = model.LogProbs(sentences[s].example, ids);
        p[kStart] = -1e9;
        const auto best = static_cast<int32_t>(std::max_element(p.begin(), p.end()) - p.begin());
        ended = best == kEnd;
        if (!ended && ids.size() == 12) break;
        log_prob += p[static_cast<size_t>(best)];
        if (ended) break;
        ids.push_back(best);
      }
      complete += ended;
      ASSERT_EQ(found[s].size(), 1u);
      EXPECT_EQ(found[s][0].ids, ids);
      EXPECT_EQ(found[s][0].complete, ended);
      EXPECT_NEAR(found[s][0].log_prob, log_prob, 1e-4);
      EXPECT_EQ(found[s][0].log_probs.size(), ids.size() + ended);
    }
    EXPECT_GT(complete, 10);
    EXPECT_LT(complete, 64);
  }
}

bool Same(const Hypotheses& a, const Hypotheses& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Hypothesis& x, const Hypothesis& y) {
    return x.ids == y.ids && x.log_probs == y.log_probs && x.score == y.score && x.complete == y.complete;
  });
}

TEST(Beam, SameAloneAndInBatches) {
  for (bool ties : {false, true})
    for (bool sample : {false, true}) {
      FakeModel model{.vocabulary = 30, .sharpness = 2, .end_bonus = 2, .ties = ties};
      std::vector<Sentence> sentences = TestSentences(64);
      for (size_t i = 0; i < 64; i++) {
        sentences[i].source_length = static_cast<int64_t>(i % 5);
        if (i % 7 == 0) sentences[i].prefix = {5, static_cast<int32_t>(2 + i % 20)};
      }
      SearchOptions options = Options(5, 20);
      options.max_ratio = 2;
      options.max_extra = 6;
      options.nbest = 3;
      options.no_repeat_ngram = 3;
      options.sample = sample;
      options.coverage_penalty = 0.1;
      const std::vector<Hypotheses> all = Find(model, sentences, options);
      for (size_t width : {1, 7}) {
        for (size_t begin = 0; begin < 64; begin += width) {
          const std::vector<Sentence> part(sentences.begin() + begin, sentences.begin() + std::min<size_t>(64, begin + width));
          const std::vector<Hypotheses> found = Find(model, part, options);
          for (size_t i = 0; i < part.size(); i++) EXPECT_TRUE(Same(found[i], all[begin + i])) << begin + i;
        }
      }
    }
}

TEST(Beam, NBestIsDistinctAndOrdered) {
  FakeModel model{.vocabulary = 20, .end_bonus = 2};
  const std::vector<Sentence> sentences = TestSentences(20);
  SearchOptions options = Options(8, 30);
  options.nbest = 8;
  for (const Hypotheses& h : Find(model, sentences, options)) {
    ASSERT_EQ(h.size(), 8u);
    for (size_t i = 0; i < h.size(); i++) {
      double sum = 0;
      for (float p : h[i].log_probs) sum += p;
      EXPECT_NEAR(h[i].log_prob, sum, 1e-9);
      EXPECT_NEAR(h[i].score, sum / static_cast<double>(h[i].log_probs.size()), 1e-9);
      if (i == 0) continue;
      EXPECT_GE(h[i - 1].score, h[i].score);
      for (size_t j = 0; j < i; j++) EXPECT_NE(h[i].ids, h[j].ids);
    }
  }
}

// Two equal continuations: the smaller id wins; of equal totals of different parents too.
TEST(Beam, TiesAreOrderedById) {
  FakeModel model{.vocabulary = 6, .sharpness = 0};
  SearchOptions options = Options(3, 2);
  options.nbest = 3;
  options.patience = 0;
  options.min_length = 1;
  const Hypotheses h = Find(model, TestSentences(1), options)[0];
  ASSERT_EQ(h.size(), 3u);
  EXPECT_THAT(h[0].ids, testing::ElementsAre(2));  // all scores are equal: the first to end comes first
  EXPECT_THAT(h[1].ids, testing::ElementsAre(3));
  EXPECT_THAT(h[2].ids, testing::ElementsAre(4));
}

TEST(Beam, LengthLimitsAreKept) {
  FakeModel model{.vocabulary = 10, .end_bonus = 6};
  SearchOptions options = Options(4, 100);
  options.min_length = 5;
  for (const Hypotheses& h : Find(model, TestSentences(20), options)) EXPECT_GE(h.at(0).ids.size(), 5u);
  model.end_bonus = -20;
  options.max_ratio = 1.5;
  options.max_extra = 2;
  for (const Hypotheses& h : Find(model, TestSentences(20, 4), options)) {
    EXPECT_EQ(h.at(0).ids.size(), 8u);
    EXPECT_FALSE(h[0].complete);
    EXPECT_EQ(h[0].log_probs.size(), 8u);
  }
  EXPECT_EQ(MaxLength(options, 4), 8);
  EXPECT_EQ(MaxLength(options, 1000), 100);
  EXPECT_EQ(CutNotice(0, 20, options), "");
  EXPECT_THAT(CutNotice(3, 20, options), testing::StartsWith("3 of 20 outputs did not end before search.max_length (100)"));
}

TEST(Beam, OutputOfNothingIsCutWithoutAStepMore) {
  FakeModel model{.vocabulary = 10, .end_bonus = -20};
  SearchOptions options = Options(4, 100);
  options.max_ratio = options.max_extra = 0;
  const Hypotheses h = Find(model, TestSentences(1), options, Maps::all)[0];
  ASSERT_EQ(h.size(), 1u);
  EXPECT_TRUE(h[0].ids.empty());
  EXPECT_FALSE(h[0].complete);
}

TEST(Beam, ForcedPrefixIsObeyedAndScored) {
  FakeModel model{.vocabulary = 20, .end_bonus = 1};
  std::vector<Sentence> sentences = TestSentences(10);
  for (size_t i = 0; i < 10; i++) sentences[i].prefix.assign(i % 4, static_cast<int32_t>(2 + i));
  SearchOptions options = Options(4, 30);
  options.nbest = 4;
  const std::vector<Hypotheses> found = Find(model, sentences, options);
  for (size_t i = 0; i < 10; i++)
    for (const Hypothesis& h : found[i]) {
      ASSERT_GE(h.ids.size(), sentences[i].prefix.size());
      EXPECT_TRUE(std::equal(sentences[i].prefix.begin(), sentences[i].prefix.end(), h.ids.begin()));
      for (size_t t = 0; t < h.ids.size(); t++) {
        const std::vector<int32_t> prefix(h.ids.begin(), h.ids.begin() + static_cast<std::ptrdiff_t>(t));
        EXPECT_NEAR(h.log_probs[t], model.LogProbs(sentences[i].example, prefix)[static_cast<size_t>(h.ids[t])], 1e-5);
      }
    }
}

TEST(Beam, NoNGramTwice) {
  FakeModel model{.vocabulary = 5, .sharpness = 4, .end_bonus = -3};
  SearchOptions options = Options(3, 25);
  bool repeats = false;
  for (int n : {0, 1, 2, 3}) {
    options.no_repeat_ngram = n;
    for (const Hypotheses& h : Find(model, TestSentences(20), options)) {
      std::set<std::vector<int32_t>> seen;
      const size_t width = n == 0 ? 2 : static_cast<size_t>(n);
      for (size_t i = 0; i + width <= h.at(0).ids.size(); i++) {
        const bool fresh =
            seen.insert({h[0].ids.begin() + static_cast<std::ptrdiff_t>(i), h[0].ids.begin() + static_cast<std::ptrdiff_t>(i + width)})
                .second;
        if (n == 0)
          repeats |= !fresh;
        else
          EXPECT_TRUE(fresh) << n;
      }
    }
  }
  EXPECT_TRUE(repeats);  // without the block they do occur
}

TEST(Beam, MapsFollowTheHypothesis) {
  FakeModel model{.vocabulary = 12, .end_bonus = 1.5};
  const std::vector<Sentence> sentences = TestSentences(9);
  SearchOptions options = Options(4, 15);
  options.nbest = 4;
  for (Maps maps : {Maps::summed, Maps::all}) {
    const std::vector<Hypotheses> found = Find(model, sentences, options, maps);
    for (size_t s = 0; s < found.size(); s++)
      for (const Hypothesis& h : found[s]) {
        ASSERT_EQ(h.maps.size(), 1u);
        const HypothesisMap& map = h.maps[0];
        EXPECT_EQ(map.path, "decoder.attention");
        EXPECT_EQ(map.tokens, static_cast<int64_t>(h.log_probs.size()));
        EXPECT_EQ(map.heads, maps == Maps::all ? 2 : 1);
        EXPECT_EQ(map.keys, 4);  // the padding is gone
        ASSERT_EQ(map.weights.size(), static_cast<size_t>(map.tokens * map.heads * map.keys));
        for (int64_t t = 0; t < map.tokens; t++) {
          const std::vector<int32_t> prefix(h.ids.begin(), h.ids.begin() + t);
          const std::vector<float> expected = model.Attention(sentences[s].example, prefix, map.heads);
          EXPECT_TRUE(std::equal(expected.begin(), expected.end(), map.weights.begin() + t * map.heads * map.keys));
        }
      }
  }
}

// Patience counts complete outputs; what cannot win leaves the batch, and nothing is lost by it.
TEST(Beam, StopsEarlyAndLosesNothing) {
  FakeModel model{.vocabulary = 40, .sharpness = 3, .end_bonus = 3};
  const std::vector<Sentence> sentences = TestSentences(30);
  SearchOptions options = Options(5, 60);
  options.length_penalty = LengthPenalty::none;
  options.patience = 0;
  FakeDecoder exact(model, sentences), patient(model, sentences), hasty(model, sentences);
  const std::vector<Hypotheses> a = Search(exact, sentences, TestSymbols(), options);
  options.patience = 1000;
  const std::vector<Hypotheses> b = Search(patient, sentences, TestSymbols(), options);
  for (size_t i = 0; i < a.size(); i++) EXPECT_TRUE(Same(a[i], b[i]));
  EXPECT_LT(exact.steps(), 60);
  EXPECT_LT(exact.row_steps(), 30 * 5 * exact.steps() / 2);  // finished rows left
  options.patience = 0.2;
  Search(hasty, sentences, TestSymbols(), options);
  EXPECT_LT(hasty.row_steps(), exact.row_steps());
}

TEST(Beam, DeadEndsAreCut) {
  FakeModel model{.vocabulary = 4};  // two words; no unigram twice: after both, only the end is left, and it is forbidden
  SearchOptions options = Options(3, 20);
  options.no_repeat_ngram = 1;
  options.min_length = 10;
  for (const Hypotheses& h : Find(model, TestSentences(4), options)) {
    EXPECT_EQ(h.at(0).ids.size(), 2u);
    EXPECT_FALSE(h[0].complete);
  }
}

template <class F>
std::string ErrorOf(F f) {
  try {
    f();
  } catch (const Error& e) {
    return std::to_string(e.status()) + " " + e.what();
  }
  return "none";
}

TEST(Beam, MistakesAreOneLine) {
  FakeModel model;
  std::vector<Sentence> sentences = TestSentences(3);
  const auto with = [&](auto change) {
    SearchOptions options = Options(5, 10);
    change(options);
    return ErrorOf([&] { Find(model, sentences, options); });
  };
  EXPECT_EQ(with([](SearchOptions& o) { o.nbest = 6; }), "2 [search.nbest] expected at most search.beam (5); found 6");
  EXPECT_EQ(with([](SearchOptions& o) { o.beam = 0; }), "2 [search.beam] expected 1 to 1024; found 0");
  EXPECT_EQ(with([](SearchOptions& o) { o.top_p = std::nan(""); }), "2 [search.top_p] expected 0 to 1; found nan");
  EXPECT_EQ(with([](SearchOptions& o) { o.min_length = 11; }), "2 [search.min_length] expected at most search.max_length (10); found 11");
  EXPECT_EQ(with([](SearchOptions&) {}), "none");
  model.heads = 0;
  EXPECT_THAT(with([](SearchOptions& o) { o.coverage_penalty = 1; }), testing::StartsWith("2 [search.coverage_penalty] expected 0"));
  sentences[1].prefix = {3, kEnd};
  EXPECT_EQ(with([](SearchOptions&) {}), "2 [search.prefix] expected ids of words; found 1");
  sentences[1].prefix.assign(11, 3);
  EXPECT_THAT(with([](SearchOptions&) {}), testing::StartsWith("2 [search.prefix] expected at most 10 tokens"));
  sentences[1].prefix.assign(1, 300);
  EXPECT_EQ(with([](SearchOptions&) {}), "2 [search.forced] expected ids below 6; found 300");
}

TEST(Beam, NaNStopsWithTheToken) {
  const std::vector<Sentence> sentences = TestSentences(3);
  for (bool sample : {false, true}) {
    FakeDecoder decoder(FakeModel{.end_bonus = -5}, sentences);
    decoder.PoisonAt(3);
    SearchOptions options = Options(2, 10);
    options.sample = sample;
    EXPECT_EQ(ErrorOf([&] { Search(decoder, sentences, TestSymbols(), options); }),
              "1 [search] expected log-probabilities from the decoder; found NaN at token 3 (are the model's weights finite?)");
  }
}

class BrokenDecoder : public Decoder {
 public:
  explicit BrokenDecoder(StepResult result) : result_(std::move(result)) {}
  StepResult Step(std::span<const int32_t>, std::span<const int32_t>, const StepRequest&) override { return result_; }

 private:
  StepResult result_;
};

TEST(Beam, ResultsOfAnotherShapeAreRefused) {
  const std::vector<Sentence> sentences = TestSentences(1);
  StepResult good{1, 2, {2, 3}, {-1, -1}, {}, {}, {}};
  std::vector<StepResult> bad(5, good);
  bad[0].rows = 2;
  bad[1].ids.pop_back();
  bad[2].k = -1;
  bad[3].log_probs.push_back(0);
  bad[4].maps.push_back({"a", 1000000, 1000000, {1}, MapOver::source});
  for (const StepResult& result : bad) {
    BrokenDecoder decoder(result);
    EXPECT_THROW(Search(decoder, sentences, TestSymbols(), Options(2, 3)), SystemError);
  }
  BrokenDecoder decoder(good);
  EXPECT_THROW(Search(decoder, sentences, TestSymbols(), Options(2, 3)), SystemError);  // one row again where two were asked for
}

TEST(Beam, NoSentencesNoSteps) {
  FakeDecoder decoder(FakeModel{}, {});
  EXPECT_TRUE(Search(decoder, {}, TestSymbols(), Options(2, 3)).empty());
  EXPECT_EQ(decoder.steps(), 0);
}

}  // namespace
}  // namespace attend::search
