#include "attend/base/error.h"
#include "attend/search/search.h"
#include "gtest/gtest.h"
#include "tests/search/fake_decoder.h"

namespace attend::search {
namespace {

TEST(Score, IsTheModelsLogProbability) {
  FakeModel model{.vocabulary = 9};
  const std::vector<Sentence> sentences = TestSentences(4);
  const std::vector<std::vector<int32_t>> targets = {{2, 3, 4}, {}, {8, 8, 8, 8, 8, 7}, {5}};
  FakeDecoder decoder(model, sentences);
  const Hypotheses found = Score(decoder, sentences, targets, TestSymbols(), Maps::all);
  ASSERT_EQ(found.size(), 4u);
  EXPECT_EQ(decoder.steps(), 7);
  EXPECT_EQ(decoder.row_steps(), 4 + 1 + 7 + 2);  // each row leaves when its target ends
  for (size_t i = 0; i < 4; i++) {
    EXPECT_EQ(found[i].ids, targets[i]);
    ASSERT_EQ(found[i].log_probs.size(), targets[i].size() + 1);
    double total = 0;
    for (size_t t = 0; t <= targets[i].size(); t++) {
      const std::vector<int32_t> prefix(targets[i].begin(), targets[i].begin() + static_cast<std::ptrdiff_t>(t));
      const int32_t id = t < targets[i].size() ? targets[i][t] : kEnd;
      const double expected = model.LogProbs(sentences[i].example, prefix)[static_cast<size_t>(id)];
      EXPECT_NEAR(found[i].log_probs[t], expected, 1e-5);
      total += expected;
      const std::vector<float> attention = model.Attention(sentences[i].example, prefix, 2);
      for (size_t j = 0; j < 8; j++) EXPECT_EQ(found[i].maps.at(0).weights.at(t * 8 + j), attention[j]);
    }
    EXPECT_NEAR(found[i].log_prob, total, 1e-5);
    EXPECT_EQ(found[i].score, found[i].log_prob);
    EXPECT_TRUE(found[i].complete);
  }
}

TEST(Score, AgreesWithSearch) {
  FakeModel model{.vocabulary = 25, .end_bonus = 2};
  const std::vector<Sentence> sentences = TestSentences(12);
  FakeDecoder searcher(model, sentences), scorer(model, sentences);
  const std::vector<Hypotheses> best = Search(searcher, sentences, TestSymbols(), SearchOptions{});
  std::vector<std::vector<int32_t>> targets;
  for (const Hypotheses& h : best) targets.push_back(h.at(0).ids);
  const Hypotheses scored = Score(scorer, sentences, targets, TestSymbols());
  for (size_t i = 0; i < scored.size(); i++) EXPECT_EQ(scored[i].log_probs, best[i][0].log_probs);
}

TEST(Score, RefusesTargetsThatCannotBe) {
  const std::vector<Sentence> sentences = TestSentences(1);
  FakeDecoder decoder(FakeModel{}, sentences);
  for (const std::vector<int32_t>& target : {std::vector<int32_t>{2, kEnd}, std::vector<int32_t>{-1}, std::vector<int32_t>{99}})
    EXPECT_THROW(Score(decoder, sentences, std::vector<std::vector<int32_t>>{target}, TestSymbols()), UserError);
  EXPECT_THROW(Score(decoder, sentences, {}, TestSymbols()), UserError);
}

}  // namespace
}  // namespace attend::search
