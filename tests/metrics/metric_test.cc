#include "attend/metrics/metric.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "attend/metrics/accuracy.h"
#include "attend/metrics/bleu.h"
#include "attend/metrics/entropy.h"
#include "attend/metrics/perplexity.h"

namespace attend::metrics {
namespace {

TEST(Metric, LineAndJson) {
  const std::vector<std::string> outputs = {"the cat sat on the mat"}, references = {"the cat is on the mat"};
  const Metric bleu = BleuMetric(SentenceBleu(outputs[0], references, {}), {}, 1);
  EXPECT_EQ(Line(bleu),
            "BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0 = 37.99 83.3/60.0/25.0/16.7 "
            "(BP = 1.000 ratio = 1.000 hyp_len = 6 ref_len = 6)");
  const Metric plain{MetricKind::accuracy, "exact \"match\"\\\n", 0.25, "", ""};
  EXPECT_EQ(Json(plain), "{\"metric\": \"accuracy\", \"name\": \"exact \\\"match\\\"\\\\\\u000a\", \"value\": 0.25}");
  const Metric infinite{MetricKind::perplexity, "perplexity", std::numeric_limits<double>::infinity(), "", "d"};
  EXPECT_EQ(Json(std::vector<Metric>{plain, infinite}),
            "[" + Json(plain) + ", {\"metric\": \"perplexity\", \"name\": \"perplexity\", \"value\": null, \"details\": \"d\"}]");
  EXPECT_EQ(Json(std::vector<Metric>{}), "[]");
}

TEST(Metric, JsonKeepsEveryDigit) {
  const Metric third{MetricKind::bleu, "BLEU", 100.0 / 3, "", ""};
  const std::string json = Json(third);
  EXPECT_EQ(std::stod(json.substr(json.rfind(' '))), 100.0 / 3);
}

TEST(Metric, EveryKindHasANameAndADirection) {
  EXPECT_EQ(ChoiceList<MetricKind>(), "perplexity, bleu, chrf, chrf++, accuracy, alignment_error_rate, bits_per_character");
  EXPECT_TRUE(HigherIsBetter(MetricKind::bleu));
  EXPECT_TRUE(HigherIsBetter(MetricKind::accuracy));
  EXPECT_FALSE(HigherIsBetter(MetricKind::perplexity));
  EXPECT_FALSE(HigherIsBetter(MetricKind::alignment_error_rate));
}

TEST(Perplexity, OfAUniformDistribution) {
  LogLikelihood sum;
  for (int i = 0; i < 5; ++i) sum += {std::log(8.0) * (i + 1), i + 1};
  EXPECT_NEAR(Perplexity(sum), 8, 1e-12);
  EXPECT_EQ(Line(PerplexityMetric(sum)), "perplexity = 8.0000 (nll = 2.0794 tokens = 15)");
  EXPECT_TRUE(std::isinf(Perplexity({1e6, 1})));
  EXPECT_THROW(Perplexity({0, 0}), UserError);
}

TEST(Accuracy, ExactMatches) {
  const std::vector<std::string> a = {"x", "y ", "z", ""}, b = {"x", "y", "Z", ""};
  Tally tally = ExactMatches(a, b);
  EXPECT_EQ(tally.right, 2);
  EXPECT_EQ(Accuracy(tally), 0.5);
  tally += {2, 2};
  EXPECT_EQ(Line(AccuracyMetric(tally, "exact match")), "exact match = 0.6667 (4 of 6)");
  EXPECT_THROW(ExactMatches(a, std::vector<std::string>{"x"}), UserError);
  EXPECT_THROW(ExactMatches({}, {}), UserError);
  EXPECT_THROW(Accuracy({}), UserError);
}

TEST(RowEntropy, ByHand) {
  RowEntropy entropy;
  const std::vector<float> weights = {0.25f, 0.25f, 0.25f, 0.25f,  // log 4
                                      0,     1,     0,     0,      // 0
                                      0,     0,     0,     0,      // nothing visible: no row
                                      3,     3,     0,     0};     // not normalised: log 2
  entropy.Add(weights, 4);
  EXPECT_EQ(entropy.rows, 3);
  EXPECT_NEAR(entropy.Mean(), (std::log(4.0) + std::log(2.0)) / 3, 1e-12);
  RowEntropy nothing;
  nothing.Add({}, 4);
  nothing.Add(weights, 0);
  nothing.Add(std::span(weights).first(3), 4);  // not a whole row
  EXPECT_EQ(nothing.Mean(), 0);
  nothing += entropy;
  EXPECT_EQ(nothing.Mean(), entropy.Mean());
  const std::vector<float> bad = {std::nanf(""), 0.5f};
  nothing.Add(bad, 2);
  EXPECT_TRUE(std::isnan(nothing.Mean()));
}

}  // namespace
}  // namespace attend::metrics
