#include "attend/ops/attention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "attend/ops/composed.h"
#include "attend/ops/operators.h"
#include "tests/ops/cases.h"
#include "tests/ops/reference_attention.h"

namespace attend::ops {
namespace {

using at::Tensor;
using namespace cases;

void ExpectClose(const Tensor& found, const Tensor& expected, const std::string& what, double tolerance = 1e-12) {
  ASSERT_EQ(found.sizes(), expected.sizes()) << what;
  EXPECT_TRUE(torch::allclose(found, expected, tolerance, tolerance))
      << what << ": largest difference " << (found - expected).abs().max().item<double>();
}

void ExpectEqualsReference(const Tensor& q, const Tensor& k, const Tensor& v, AttentionArgs args, const std::string& what) {
  args.need_weights = true;
  args.return_lse = args.normaliser == "softmax";
  args.return_sample = args.readout != "soft";
  const AttentionResult found = attention(q, k, v, args);
  const reference::Reference expected = reference::Attention(q, k, v, args);
  ExpectClose(found.output, expected.output, what + " output");
  ExpectClose(found.weights, expected.weights, what + " weights");
  if (args.return_sample) {
    EXPECT_TRUE(torch::equal(found.sample, expected.sample)) << what;
    ExpectClose(found.sample_logp, expected.sample_logp, what + " log-probability");
  }
  if (!args.return_lse) return;
  ASSERT_EQ(found.lse.sizes(), expected.lse.sizes()) << what;
  EXPECT_TRUE(torch::equal(found.lse.isinf(), expected.lse.isinf())) << what;
  ExpectClose(torch::where(found.lse.isinf(), 0, found.lse), torch::where(expected.lse.isinf(), 0, expected.lse), what + " lse");
}

class Grid : public ::testing::TestWithParam<std::string> {};

TEST_P(Grid, EqualsLoops) {
  torch::manual_seed(1);
  for (const Shape& s : kShapes) {
    for (const Masks& masks : kMasks) {
      for (bool head_vectors : {false, true}) {
        AttentionArgs args;
        args.score = GetParam();
        masks.apply(args, s);
        Tensor q = Draw({s.batch, s.heads, s.queries, s.dim}), k = Draw({s.batch, s.kv_heads, s.keys, s.dim});
        const Tensor v = Draw({s.batch, s.kv_heads, s.keys, s.value_dim});
        args.param = Parameter(args.score, s.heads, s.dim, head_vectors);
        if (args.score == "given") {
          q = k = Tensor();
          args.scores = Draw({s.batch, s.heads, s.queries, s.keys});
        }
        if (head_vectors && !args.param.defined()) continue;
        ExpectEqualsReference(q, k, v, args, args.score + ", " + masks.name + ", Tk " + std::to_string(s.keys));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Attention, Grid, ::testing::ValuesIn(Scores()), [](const auto& i) { return i.param; });

TEST(Attention, EveryNormaliserAndReadoutEqualsLoops) {
  torch::manual_seed(2);
  for (const Shape& s : {kShapes[1], kShapes[3], kShapes[4]})
    for (const Masks& masks : kMasks)
      for (const NormaliserAndReadout& choice : Chosen()) {
        AttentionArgs args;
        masks.apply(args, s);
        if (args.centers.defined() && choice.readout != "soft") continue;
        Choose(args, choice, s.batch);
        const Tensor q = 3 * Draw({s.batch, s.heads, s.queries, s.dim});
        ExpectEqualsReference(q, Draw({s.batch, s.kv_heads, s.keys, s.dim}), Draw({s.batch, s.kv_heads, s.keys, s.value_dim}), args,
                              choice.normaliser + ", " + choice.readout + ", " + masks.name);
      }
}

TEST(Attention, SparseNormalisersInClosedForm) {
  const auto weights = [](const std::string& normaliser, std::vector<double> scores) {
    AttentionArgs args;
    args.score = "given";
    args.normaliser = normaliser;
    args.need_weights = true;
    args.scores = torch::tensor(scores, torch::kDouble).view({1, 1, 1, -1});
    return attention(Tensor(), Tensor(), torch::ones({1, 1, static_cast<int64_t>(scores.size()), 1}, torch::kDouble), args)
        .weights.view({-1});
  };
  const auto expect = [&](const std::string& normaliser, std::vector<double> scores, std::vector<double> expected) {
    ExpectClose(weights(normaliser, scores), torch::tensor(expected, torch::kDouble), normaliser);
  };
  // Of two scores t apart, sparsemax gives (1 + t) / 2 to the larger, and all from t = 1 on (Martins and Astudillo 2016, section 2.4).
  for (double t : {0.0, 0.3, 0.999, 1.0, 5.0}) expect("sparsemax", {t + 2, 2}, {std::min(1.0, (1 + t) / 2), std::max(0.0, (1 - t) / 2)});
  expect("sparsemax", {7, 7, 7, 7}, {0.25, 0.25, 0.25, 0.25});
  expect("sparsemax", {1.2, 1.1, -3}, {0.55, 0.45, 0});
  // Of two scores t apart, entmax15 has sqrt(w_1) - sqrt(w_2) = t / 2 with w_1 + w_2 = 1: sqrt(w_1) = t / 4 + sqrt(1 / 2 - t^2 / 16), and
  // all from t = 2 on.
  for (double t : {0.0, 0.5, 1.9, 2.0, 9.0}) {
    const double root = t >= 2 ? 1 : t / 4 + std::sqrt(0.5 - t * t / 16);
    expect("entmax15", {t - 1, -1}, {root * root, 1 - root * root});
  }
  expect("entmax15", {-4, -4, -4, -4, -4}, {0.2, 0.2, 0.2, 0.2, 0.2});
  // A score far below the others has no weight at all, and scores far from 0 do no harm.
  const Tensor far = weights("entmax15", {1000, 1001, 0});
  EXPECT_EQ(far[2].item<double>(), 0);
  expect("sparsemax", {1e6, 1e6 + 0.5}, {0.25, 0.75});
}

// The last scores of a row lie where weights begin, but for rounding: each pass over the row may take them for the other side.
TEST(Attention, SparsemaxOfScoresAtItsThresholdEnds) {
  torch::manual_seed(1);
  AttentionArgs args;
  args.score = "dot";
  args.normaliser = "sparsemax";
  args.need_weights = true;
  const auto weights = [&](const Tensor& scores, int64_t queries) {  // (rows, queries, keys)
    const Tensor k = scores.unsqueeze(1).unsqueeze(3);
    return attention(torch::ones({scores.size(0), 1, queries, 1}, scores.options()), k, torch::ones_like(k), args).weights.squeeze(1);
  };
  for (const int64_t keys : {5, 9, 16, 40, 130}) {
    const int64_t rows = 3000, edge = keys / 4 + 1;
    const Tensor s = torch::randn({rows, keys - edge}, torch::kDouble) * 0.2;
    const Tensor tau = std::get<0>((s - weights(s, 1).squeeze(1)).max(-1, /*keepdim=*/true)).to(torch::kFloat);
    const Tensor ulps = torch::randint(-2, 3, {rows, edge}).to(torch::kFloat) * 6e-8F;
    const Tensor scores = torch::cat({s.to(torch::kFloat), tau + tau.abs() * ulps}, 1);
    for (const int64_t queries : {1, 16}) EXPECT_LT((weights(scores, queries).sum(-1) - 1).abs().max().item<double>(), 1e-5);
  }
}

TEST(Attention, SigmoidWeighsEachKeyForItself) {
  AttentionArgs args;
  args.score = "given";
  args.normaliser = "sigmoid";
  args.need_weights = true;
  args.key_lengths = Ints({8, 3, 0});
  args.scores = torch::zeros({3, 1, 1, 8}, torch::kDouble);
  const Tensor w = attention(Tensor(), Tensor(), torch::ones({3, 1, 8, 1}, torch::kDouble), args).weights.view({3, 8});
  // The bias is -log of the number of visible keys: equal scores of 0 weigh 1 / (1 + n) each.
  EXPECT_DOUBLE_EQ(w[0][7].item<double>(), 1.0 / 9);
  EXPECT_DOUBLE_EQ(w[1][2].item<double>(), 1.0 / 4);
  EXPECT_EQ(w[1][3].item<double>(), 0);
  EXPECT_EQ(w[2].abs().sum().item<double>(), 0);
}

TEST(Attention, ZeroVectorsHaveNoDirection) {
  for (bool single : {false, true}) {
    AttentionArgs args;
    args.score = "cosine";
    args.param = torch::ones({}, single ? torch::kFloat : torch::kDouble);
    const auto type = args.param.scalar_type();
    Tensor q = Draw({1, 1, 3, 4}).to(type), k = Draw({1, 1, 5, 4}).to(type);
    q.select(2, 1).zero_();
    k.select(2, 3).zero_();
    k.select(2, 4).mul_(1e-30);  // whose square vanishes in single precision
    q.requires_grad_();
    k.requires_grad_();
    args.need_weights = true;
    const AttentionResult r = attention(q, k, Draw({1, 1, 5, 2}).to(type), args);
    EXPECT_TRUE(torch::allclose(r.weights.select(2, 1), torch::full({1, 1, 5}, 0.2, type)));  // all cosines 0
    const Tensor unit = torch::nn::functional::cosine_similarity(q.select(2, 0), k.select(2, 4) * 1e30,
                                                                 torch::nn::functional::CosineSimilarityFuncOptions().dim(2));
    EXPECT_NEAR((r.weights[0][0][0][4] / r.weights[0][0][0][3]).log().item<double>(), unit.item<double>(), 1e-5);
    (r.output.sum() + r.weights.square().sum()).backward();
    EXPECT_EQ(q.grad().select(2, 1).abs().sum().item<double>(), 0);
    EXPECT_EQ(k.grad().select(2, 3).abs().sum().item<double>(), 0);
    EXPECT_TRUE(q.grad().isfinite().all().item<bool>());
    EXPECT_TRUE(k.grad().isfinite().all().item<bool>());
  }
}

// tanh is saturated and its gradient 0; nothing overflows, and q = 500, k = -500 meet in the middle.
TEST(Attention, AdditiveArgumentsOfAnySize) {
  for (const auto type : {torch::kDouble, torch::kFloat}) {
    AttentionArgs args;
    args.score = "additive";
    args.param = torch::tensor({0.7, -1.3}, type).requires_grad_();
    args.need_weights = true;
    const std::vector<double> sizes = {-500, -100, -20, 0, 20, 100, 500};
    const int64_t n = static_cast<int64_t>(sizes.size());
    Tensor q = torch::tensor(sizes, type).view({1, 1, n, 1}).expand({1, 1, n, 2}).contiguous().requires_grad_();
    Tensor k = (-torch::tensor(sizes, type)).view({1, 1, n, 1}).expand({1, 1, n, 2}).contiguous().requires_grad_();
    const AttentionResult r = attention(q, k, torch::ones({1, 1, n, 1}, type), args);
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; j < n; j++) {
        const double expected = (0.7 - 1.3) * (std::tanh(sizes[i] - sizes[j]) - std::tanh(sizes[i] - sizes[i]));
        EXPECT_NEAR((r.weights[0][0][i][j] / r.weights[0][0][i][i]).log().item<double>(), expected, type == torch::kDouble ? 1e-12 : 1e-5);
      }
    r.weights.square().sum().backward();
    for (const Tensor& t : {q, k, args.param}) EXPECT_TRUE(t.grad().isfinite().all().item<bool>());
  }
}

TEST(Attention, TakesAScale) {
  AttentionArgs args;
  args.scale = 0.3;
  ExpectEqualsReference(Draw({2, 2, 3, 4}), Draw({2, 2, 5, 4}), Draw({2, 2, 5, 4}), args, "scale");
}

TEST(Attention, TilesOfTheAdditiveScoreCoverEverything) {  // more than one tile in rows, and in queries of one row
  AttentionArgs args;
  args.score = "additive";
  args.param = Draw({64});
  ExpectEqualsReference(Draw({9, 1, 1, 64}), Draw({9, 1, 300, 64}), Draw({9, 1, 300, 2}), args, "rows");
  ExpectEqualsReference(Draw({1, 1, 23, 64}), Draw({1, 1, 211, 64}), Draw({1, 1, 211, 2}), args, "queries");
}

TEST(Attention, EmptyBatchesAndQueriesGiveEmptyResults) {
  AttentionArgs args;
  args.need_weights = args.return_lse = true;
  args.is_causal = true;
  const AttentionResult none = attention(Draw({0, 2, 3, 4}), Draw({0, 2, 5, 4}), Draw({0, 2, 5, 6}), args);
  EXPECT_EQ(none.output.sizes(), at::IntArrayRef({0, 2, 3, 6}));
  EXPECT_EQ(none.weights.sizes(), at::IntArrayRef({0, 2, 3, 5}));
  EXPECT_EQ(attention(Draw({1, 2, 0, 4}), Draw({1, 2, 5, 4}), Draw({1, 2, 5, 6}), args).output.sizes(), at::IntArrayRef({1, 2, 0, 6}));
}

// Reads gradients of everything that has one.
struct Differentiated {
  AttentionResult result;
  std::vector<Tensor> gradients;
};
Differentiated WithGradients(Tensor q, Tensor k, Tensor v, AttentionArgs args) {
  std::vector<Tensor> leaves;
  for (Tensor* t : {&q, &k, &v, &args.param, &args.attn_bias, &args.alibi_slopes, &args.centers})
    if (t->defined()) leaves.push_back(*t = t->detach().clone().requires_grad_());
  Differentiated out{attention(q, k, v, args), {}};
  Tensor loss = out.result.output.cos().sum();
  if (args.need_weights) loss = loss + out.result.weights.square().sum();
  if (args.return_sample) loss = loss + out.result.sample_logp.sin().sum();
  if (args.return_lse) loss = loss + torch::where(out.result.lse.isinf(), 0, out.result.lse).sin().sum();
  loss.backward();
  for (const Tensor& t : leaves) out.gradients.push_back(t.grad());
  return out;
}

AttentionArgs Args(const std::string& score, int64_t dim) {
  AttentionArgs args;
  args.score = score;
  args.param = Parameter(score, 1, dim, false);
  return args;
}

// Calls that each choose one thing besides the usual: every score, every normaliser with every readout, centres, blocks.
struct Variant {
  std::string name;
  AttentionArgs args;
};
std::vector<Variant> Variants(const Shape& s) {
  std::vector<Variant> out;
  for (const std::string& score : Comparing()) out.push_back({score, Args(score, s.dim)});
  for (const NormaliserAndReadout& choice : Chosen()) {
    AttentionArgs args;
    Choose(args, choice, s.batch);
    out.push_back({choice.normaliser + ", " + choice.readout, args});
  }
  for (const Masks& masks : kMasks) {
    const std::string name = masks.name;
    if (name != "block" && name != "window and global keys" && name != "centres") continue;
    AttentionArgs args;
    masks.apply(args, s);
    out.push_back({name, args});
  }
  for (Variant& v : out) {
    v.args.need_weights = true;
    v.args.return_lse = v.args.normaliser == "softmax";
    v.args.return_sample = v.args.readout != "soft";
    if (!v.args.seed.defined()) v.args.seed = torch::arange(s.batch, torch::kLong) + 5;
  }
  return out;
}

// What holds on both paths: in double the operator is composed, in single precision it is fused.
class Paths {
 protected:
  explicit Paths(at::ScalarType type) : type_(type) {}

  Tensor Draw(std::vector<int64_t> sizes) const { return cases::Draw(std::move(sizes)).to(type_); }
  AttentionArgs Typed(AttentionArgs args) const {
    Cast(type_, {&args.param, &args.scores, &args.attn_bias, &args.alibi_slopes, &args.centers});
    return args;
  }
  std::vector<Variant> Variants(const Shape& s) const {
    std::vector<Variant> out = ops::Variants(s);
    for (Variant& v : out) v.args = Typed(v.args);
    return out;
  }
  bool fused() const { return type_ == torch::kFloat; }

  AttentionResult Attend(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args) const {
    EXPECT_EQ(explain(q, k, v, args).rfind(fused() ? "fused: " : "composed: ", 0), 0u) << explain(q, k, v, args);
    return attention(q, k, v, args);
  }
  Differentiated Differentiate(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionArgs& args) const {
    Attend(q, k, v, args);
    return WithGradients(q, k, v, args);
  }

  // Of what must not depend on what else is computed with it. The fused path promises the bits; on the composed path torch multiplies, in
  // an order that depends on the shapes.
  void ExpectSame(const Tensor& found, const Tensor& expected, const std::string& what) const {
    if (!fused()) return ExpectClose(found, expected, what);
    EXPECT_TRUE(torch::equal(found, expected)) << what << ": largest difference " << Distance(found, expected);
  }
  void ExpectSame(const AttentionResult& found, const AttentionResult& expected, const std::string& what) const {
    ExpectSame(found.output, expected.output, what + " output");
    ExpectSame(found.weights, expected.weights, what + " weights");
    ExpectSame(found.lse, expected.lse, what + " lse");
    EXPECT_TRUE(torch::equal(found.sample, expected.sample)) << what;
    ExpectSame(found.sample_logp, expected.sample_logp, what + " log-probability");
  }
  // Of sums of `terms` in any order: of n numbers n - 1 roundings of at most the sum of their absolute values.
  void ExpectSum(const Tensor& found, const std::vector<Tensor>& terms, const std::string& what) const {
    const Tensor all = torch::stack(terms).to(torch::kDouble), sum = all.sum(0);
    if (!fused()) return ExpectClose(found, sum, what);
    const Tensor bound = all.abs().sum(0) * (kEps * static_cast<double>(terms.size() - 1));
    EXPECT_TRUE((found.to(torch::kDouble) - sum).abs().le(bound).all().item<bool>()) << what << ": " << Distance(found, sum);
  }

  const at::ScalarType type_;
};

std::string PathName(at::ScalarType type) { return type == torch::kFloat ? "fused" : "composed"; }

class BothPaths : public Paths, public ::testing::TestWithParam<at::ScalarType> {
 protected:
  BothPaths() : Paths(GetParam()) {}
};
INSTANTIATE_TEST_SUITE_P(Attention, BothPaths, ::testing::Values(torch::kDouble, torch::kFloat),
                         [](const auto& i) { return PathName(i.param); });

// Few queries, and more than one tile of them and more than one panel of keys (kernels/attention).
const std::pair<int64_t, int64_t> kFewAndMany[] = {{3, 6}, {98, 70}};

TEST_P(BothPaths, WhatLiesBeyondTheLengthsNeverMatters) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  const double large = fused() ? 3e38 : 1e300;
  torch::manual_seed(3);
  for (const auto& [queries, keys] : kFewAndMany) {
    for (auto& [score, args] : Variants({3, 2, 2, queries, keys, 4, 5})) {
      args.key_lengths = Ints({keys / 2, 0, keys});
      args.query_lengths = Ints({queries - 1, 1, queries});
      Tensor q = Draw({3, 2, queries, 4}), k = Draw({3, 2, keys, 4}), v = Draw({3, 2, keys, 5});
      const Differentiated clean = Differentiate(q, k, v, args);
      for (double garbage : {nan, inf, -inf, large}) {
        Tensor bad_q = q.clone(), bad_k = k.clone(), bad_v = v.clone();
        AttentionArgs bad = args;
        if (bad.centers.defined()) bad.centers = bad.centers.clone();
        for (int64_t b = 0; b < 3; b++) {
          bad_q[b].slice(1, args.query_lengths[b].item<int64_t>()).fill_(garbage);
          bad_k[b].slice(1, args.key_lengths[b].item<int64_t>()).fill_(garbage);
          bad_v[b].slice(1, args.key_lengths[b].item<int64_t>()).fill_(garbage);
          if (bad.centers.defined()) bad.centers[b].slice(1, args.query_lengths[b].item<int64_t>()).fill_(garbage);
        }
        const Differentiated dirty = Differentiate(bad_q, bad_k, bad_v, bad);
        EXPECT_TRUE(torch::equal(dirty.result.output, clean.result.output)) << score << " " << garbage;
        EXPECT_TRUE(torch::equal(dirty.result.weights, clean.result.weights)) << score << " " << garbage;
        EXPECT_TRUE(torch::equal(dirty.result.lse, clean.result.lse)) << score << " " << garbage;
        EXPECT_TRUE(torch::equal(dirty.result.sample, clean.result.sample)) << score << " " << garbage;
        EXPECT_TRUE(torch::equal(dirty.result.sample_logp, clean.result.sample_logp)) << score << " " << garbage;
        for (size_t g = 0; g < clean.gradients.size(); g++)
          ExpectSame(dirty.gradients[g], clean.gradients[g], score + " gradient " + std::to_string(g));
      }
    }
  }
}

TEST_P(BothPaths, AQueryThatSeesNothingGivesNothing) {
  torch::manual_seed(4);
  for (const auto& [queries, keys] : kFewAndMany) {
    for (auto& [score, args] : Variants({2, 2, 2, queries, keys, 4, 6})) {
      SCOPED_TRACE(score);
      args.attn_mask = torch::ones({1, 1, queries, keys}, torch::kBool);
      args.attn_mask.select(2, 1).fill_(false);
      const Differentiated run = Differentiate(Draw({2, 2, queries, 4}), Draw({2, 2, keys, 4}), Draw({2, 2, keys, 6}), args);
      EXPECT_EQ(run.result.output.select(2, 1).abs().sum().item<double>(), 0);
      EXPECT_EQ(run.result.weights.select(2, 1).abs().sum().item<double>(), 0);
      if (args.return_lse) {
        EXPECT_TRUE(run.result.lse.select(2, 1).eq(-std::numeric_limits<double>::infinity()).all().item<bool>());
      }
      if (args.return_sample) {
        EXPECT_TRUE(run.result.sample.select(2, 1).eq(-1).all().item<bool>());
        EXPECT_EQ(run.result.sample_logp.select(2, 1).abs().sum().item<double>(), 0);
      }
      EXPECT_EQ(run.gradients[0].select(2, 1).abs().sum().item<double>(), 0);
      EXPECT_GT(run.gradients[0].abs().sum().item<double>(), 0);
      for (const Tensor& g : run.gradients) EXPECT_TRUE(g.isfinite().all().item<bool>());
    }
  }
}

// A query that is no number shows in its own output, and in no other.
TEST_P(BothPaths, ANaNQueryGivesNaN) {
  torch::manual_seed(31);
  for (const auto& [queries, keys] : kFewAndMany)
    for (const std::string& score : Comparing()) {
      SCOPED_TRACE(score + ", " + std::to_string(queries) + " queries");
      const AttentionArgs args = Typed(Args(score, 4));
      Tensor q = Draw({2, 2, queries, 4});
      const Tensor k = Draw({2, 2, keys, 4}), v = Draw({2, 2, keys, 6});
      q[1][0][1][2] = NAN;
      const Tensor is_nan = Attend(q, k, v, args).output.isnan();
      EXPECT_TRUE(is_nan[1][0][1].all().item<bool>());
      EXPECT_EQ(is_nan.sum().item<int64_t>(), 6);
    }
}

TEST_P(BothPaths, ARowIsTheSameAloneAndInABatch) {
  torch::manual_seed(5);
  for (const auto& [queries, keys] : {std::pair<int64_t, int64_t>{3, 11}, {98, 140}}) {
    for (auto& [score, args] : Variants({7, 2, 1, queries, keys, 16, 8})) {
      args.dropout_p = 0.3;
      const Tensor centers = args.centers, global_keys = args.global_keys, seeds = torch::arange(7, torch::kLong) * 12345 + 6;
      const Tensor q = Draw({7, 2, queries, 16}), k = Draw({7, 1, keys, 16}), v = Draw({7, 1, keys, 8});
      const Tensor lengths = Ints({keys, 1, 5, 0, 7, keys - 1, keys / 2});
      args.key_lengths = lengths;
      args.seed = seeds;
      const Differentiated all = Differentiate(q, k, v, args);
      for (int64_t b = 0; b < 7; b++) {
        const auto row = [&](const Tensor& t) { return t.numel() == 0 ? t : t.slice(0, b, b + 1); };
        const int64_t seen = std::max<int64_t>(1, lengths[b].item<int64_t>());  // and without its padding
        args.key_lengths = row(lengths);
        args.seed = row(seeds);
        if (centers.defined()) args.centers = row(centers);
        if (global_keys.defined()) args.global_keys = global_keys.slice(0, 0, seen);
        const Differentiated one = Differentiate(row(q), row(k).slice(2, 0, seen), row(v).slice(2, 0, seen), args);
        const AttentionResult& r = all.result;
        ExpectSame(one.result, {row(r.output), row(r.weights).slice(3, 0, seen), row(r.lse), row(r.sample), row(r.sample_logp)}, score);
        ExpectSame(one.gradients[0], row(all.gradients[0]), score + " gradient of query");
        for (size_t g : {1, 2}) ExpectSame(one.gradients[g], row(all.gradients[g]).slice(2, 0, seen), score + " gradient of memory");
      }
    }
  }
}

TEST_P(BothPaths, StepsEqualOneCall) {
  torch::manual_seed(6);
  const Shape shape = {2, 2, 2, 9, 9, 4, 4};
  for (const Variant& variant : ops::Variants(shape)) {
    for (const Masks& masks : kMasks) {
      AttentionArgs args = variant.args;
      masks.apply(args, shape);
      // What says something of each query stands at its place in one call and is cut to it in steps.
      if (args.query_lengths.defined() || (args.attn_mask.defined() && args.attn_mask.size(-2) > 1)) continue;
      if (args.attn_bias.defined() && args.attn_bias.size(-2) > 1) continue;
      if (args.centers.defined() && args.readout != "soft") continue;
      args.dropout_p = 0.4;
      args.seed = Ints({3, -4});
      args = Typed(args);
      const Tensor first = args.query_offset.defined() ? args.query_offset : Number(0), centers = args.centers;
      const Tensor q = Draw({2, 2, 9, 4}), k = Draw({2, 2, 9, 4}), v = Draw({2, 2, 9, 4});
      const Tensor whole = Attend(q, k, v, args).output;
      double apart = 1e-12;
      if (fused()) {  // one query is not computed as nine are, but each way as near to the exact result as fused_test.cc asks for
        const Call exact = As(MakeCall(q, k, v, args), torch::kDouble);
        const Tensor expected = ComposedForward(exact).output;
        const double of_composed = Distance(ComposedForward(As(exact, torch::kFloat)).output, expected);
        const double change = Distance(ComposedForward(Disturbed(exact)).output, expected);
        apart = 2 * (2 * of_composed + 2 * change + 4 * kEps * SizeOfOutput(exact));
      }
      for (int64_t i = 0; i < 9; i++) {
        args.query_offset = first + i;
        if (centers.defined()) args.centers = centers.slice(2, i, i + 1);
        const Tensor step = Attend(q.slice(2, i, i + 1), k, v, args).output;
        EXPECT_LE(Distance(step, whole.slice(2, i, i + 1)), apart) << variant.name << ", " << masks.name << ", step " << i;
      }
    }
  }
}

TEST_P(BothPaths, BeamsShareMemory) {
  torch::manual_seed(7);
  for (const std::string& score : Comparing())
    for (const auto& [queries, keys] : {std::pair<int64_t, int64_t>{1, 6}, {40, 70}})
      for (const Tensor& rows : {Ints({0, 0, 1, 1, 0}), torch::randint(0, 2, {5, keys}, torch::kLong)}) {
        AttentionArgs args = Typed(Args(score, 4));
        args.key_rows = rows;
        args.key_lengths = Ints({keys, 2, 3, 0, keys - 1});
        const Tensor q = Draw({5, 4, queries, 4}), k = Draw({2, 2, keys, 4}), v = Draw({2, 2, keys, 3});
        if (!fused() && queries == 1) ExpectEqualsReference(q, k, v, args, "key_rows");
        args.need_weights = args.return_lse = true;
        // As if each batch row had had its own copy. In gradients, rows used twice sum.
        const Differentiated shared = Differentiate(q, k, v, args);
        args.key_rows = Tensor();
        const Differentiated copied = Differentiate(q, OwnRows(k, rows), OwnRows(v, rows), args);
        ExpectSame(shared.result, copied.result, score);
        ExpectSame(shared.gradients[0], copied.gradients[0], score + " query");
        if (args.param.defined()) ExpectSame(shared.gradients[3], copied.gradients[3], score + " param");
        for (size_t input : {1, 2}) {
          std::vector<Tensor> terms;
          for (int64_t b = 0; b < 5; b++)
            for (int64_t m = 0; m < 2; m++) {
              const Tensor used = (rows.dim() == 1 ? rows[b].expand({keys}) : rows[b]).eq(m).view({keys, 1});
              Tensor term = torch::zeros_like(input == 1 ? k : v);
              term[m] = copied.gradients[input][b].masked_fill(used.logical_not(), 0);
              terms.push_back(term);
            }
          ExpectSum(shared.gradients[input], terms, score + " memory");
        }
      }
}

// Batch rows that share memory are computed side by side; what they see may differ all the same.
TEST_P(BothPaths, SharedMemoryUnderEveryMask) {
  torch::manual_seed(1);
  const Shape s = {6, 4, 2, 3, 7, 5, 3};
  for (const Tensor& rows : {Ints({0, 0, 0, 1, 1, 1}), Ints({1, 0, 0, 1, 1, 0}), Ints({0, 0, 2, 0, 2, 0}), Ints({0, 0, 0, 0, 0, 1}),
                             torch::randint(0, 2, {6, 7}, torch::kLong)}) {
    for (const std::string& score : Scores()) {
      for (const Masks& masks : kMasks) {
        AttentionArgs args;
        args.score = score;
        masks.apply(args, s);
        const int64_t memory = rows.max().item<int64_t>() + 1;
        Tensor q = Draw({s.batch, s.heads, s.queries, s.dim}), k = Draw({memory, s.kv_heads, s.keys, s.dim});
        args.param = Parameter(score, s.heads, s.dim, true);
        if (score == "given") {
          q = k = Tensor();
          args.scores = Draw({s.batch, s.heads, s.queries, s.keys});
        }
        args = Typed(args);
        const Tensor v = Draw({memory, s.kv_heads, s.keys, s.value_dim});
        args.need_weights = args.return_lse = true;
        const AttentionResult own = Attend(q, OwnRows(k, rows), OwnRows(v, rows), args);
        args.key_rows = rows;
        const AttentionResult shared = Attend(q, k, v, args);
        ExpectSame(shared, own, score + ", " + masks.name);
        if (!fused()) ExpectEqualsReference(q, k, v, args, score + ", " + masks.name);
        if (!args.key_lengths.defined() || rows.dim() == 2) continue;
        // What lies beyond the lengths of all its readers may be anything.
        const Tensor read = torch::zeros({memory}, torch::kLong).index_reduce_(0, rows, args.key_lengths, "amax");
        const Tensor beyond = (torch::arange(s.keys).unsqueeze(0) >= read.unsqueeze(1)).view({memory, 1, s.keys, 1});
        const auto spoilt = [&](const Tensor& t) { return t.defined() ? t.masked_fill(beyond, NAN) : t; };
        if (args.scores.defined())
          args.scores = args.scores.masked_fill(torch::arange(s.keys) >= args.key_lengths.view({s.batch, 1, 1, 1}), NAN);
        ExpectSame(Attend(q, spoilt(k), spoilt(v), args), shared, score + ", NaN");
      }
    }
  }
}

class Packed : public Paths, public ::testing::TestWithParam<std::tuple<std::string, std::string, at::ScalarType>> {
 protected:
  Packed() : Paths(std::get<2>(GetParam())) {}
};
std::string PackedName(const ::testing::TestParamInfo<Packed::ParamType>& i) {
  return std::get<0>(i.param) + "_" + std::get<1>(i.param) + "_" + PathName(std::get<2>(i.param));
}
INSTANTIATE_TEST_SUITE_P(OfScores, Packed,
                         ::testing::Combine(::testing::ValuesIn(Comparing()), ::testing::Values("soft"),
                                            ::testing::Values(torch::kDouble, torch::kFloat)),
                         PackedName);
INSTANTIATE_TEST_SUITE_P(OfReadouts, Packed,
                         ::testing::Combine(::testing::Values("additive"), ::testing::Values("sample", "gumbel", "centers"),
                                            ::testing::Values(torch::kDouble, torch::kFloat)),
                         PackedName);

TEST_P(Packed, SequencesEqualSequencesAlone) {
  torch::manual_seed(9);
  const auto& [score, readout, type] = GetParam();
  AttentionArgs args;
  args.score = score;
  args.param = Parameter(score, 2, 9, true);
  args.is_causal = readout != "soft";
  args.window_left = 50;
  args.return_lse = true;
  if (readout == "centers") {
    args.centers = torch::rand({1, 2, 75}, torch::kDouble) * 60;
    args.half_width = 9;
  } else {
    args.readout = readout;
    args.return_sample = args.readout != "soft";
  }
  args.alibi_slopes = torch::tensor({0.25, -0.01}, torch::kDouble);
  args = Typed(args);
  args.dropout_p = 0.25;
  args.seed = Ints({11, 12, 13, 14});
  args.key_lengths = Ints({69, 1, 0, 79});
  args.cu_seqlens_q = Ints({0, 3, 3, 63, 75});
  args.cu_seqlens_k = torch::tensor({0, 70, 71, 71, 150}, torch::kInt);
  const Tensor q = Draw({1, 2, 75, 9}), k = Draw({1, 1, 150, 9}), v = Draw({1, 1, 150, 6});
  const Differentiated packed = Differentiate(q, k, v, args);
  AttentionArgs one = args;
  one.cu_seqlens_q = one.cu_seqlens_k = Tensor();
  std::vector<Tensor> of_param, of_slopes;
  for (int64_t n = 0; n < 4; n++) {
    const auto cut = [&](const Tensor& t, const Tensor& ends) {
      return t.numel() == 0 ? t : t.slice(2, ends[n].item<int64_t>(), ends[n + 1].item<int64_t>());
    };
    const auto cut_q = [&](const Tensor& t) { return cut(t, args.cu_seqlens_q); };
    const auto cut_k = [&](const Tensor& t) { return cut(t, args.cu_seqlens_k); };
    one.seed = args.seed.slice(0, n, n + 1);
    one.key_lengths = args.key_lengths.slice(0, n, n + 1);
    if (args.centers.defined()) one.centers = cut_q(args.centers);
    const Differentiated alone = Differentiate(cut_q(q), cut_k(k), cut_k(v), one);
    const AttentionResult& r = packed.result;
    ExpectSame({cut_q(r.output), r.weights, cut_q(r.lse), cut_q(r.sample), cut_q(r.sample_logp)}, alone.result, "");
    if (args.centers.defined()) ExpectSame(cut_q(packed.gradients.back()), alone.gradients.back(), "centers");
    ExpectSame(cut_q(packed.gradients[0]), alone.gradients[0], "query");
    ExpectSame(cut_k(packed.gradients[1]), alone.gradients[1], "key");
    ExpectSame(cut_k(packed.gradients[2]), alone.gradients[2], "value");
    if (args.param.defined()) of_param.push_back(alone.gradients[3]);
    of_slopes.push_back(alone.gradients[args.param.defined() ? 4 : 3]);
  }
  if (args.param.defined()) ExpectSum(packed.gradients[3], of_param, "param");
  ExpectSum(packed.gradients[args.param.defined() ? 4 : 3], of_slopes, "slopes");
}

TEST_P(BothPaths, APreparedKeyStandsForTheKey) {
  torch::manual_seed(10);
  for (const auto& [queries, keys] : kFewAndMany)
    for (const std::string& score : Comparing()) {
      const Tensor q = Draw({2, 2, queries, 4}), v = Draw({2, 2, keys, 4});
      const Tensor k = Draw({2, 2, keys, 4}).requires_grad_(), other = k.detach().clone().requires_grad_();
      AttentionArgs args = Typed(Args(score, 4));
      const PreparedKey prepared = prepare(k, score, args.param);
      EXPECT_EQ(prepared.packed.defined(), fused() && score == "additive");
      const Tensor out = attention(q, prepared, v, args).output, expected = Attend(q, other, v, args).output;
      EXPECT_TRUE(torch::equal(out, expected)) << score;
      out.sum().backward();
      expected.sum().backward();
      EXPECT_TRUE(torch::equal(k.grad(), other.grad())) << score;
      args.score = score == "dot" ? "scaled_dot" : "dot";
      EXPECT_THROW(attention(q, prepared, v, args), c10::ValueError);
    }
}

TEST(Attention, LowPrecisionIsCloseToDouble) {
  torch::manual_seed(30);
  for (const std::string& score : Comparing()) {
    const AttentionArgs low = Args(score, 8);
    const Tensor q = Draw({2, 2, 3, 8}), k = Draw({2, 2, 5, 8}), v = Draw({2, 2, 5, 4});
    for (const auto& [dtype, epsilon] : {std::pair{torch::kFloat, std::ldexp(1, -24)}, std::pair{torch::kBFloat16, std::ldexp(1, -9)},
                                         std::pair{torch::kHalf, std::ldexp(1, -12)}}) {
      const auto rounded = [&, dtype = dtype](const Tensor& t) { return t.defined() ? t.to(dtype).to(torch::kDouble) : t; };
      AttentionArgs args = low;
      args.param = rounded(low.param);
      args.need_weights = args.return_lse = true;
      const AttentionResult exact = attention(rounded(q), rounded(k), rounded(v), args);
      args = low;
      args.param = low.param.defined() ? low.param.to(dtype) : low.param;
      const AttentionResult found = attention(q.to(dtype), k.to(dtype), v.to(dtype), args);
      EXPECT_EQ(found.output.scalar_type(), dtype);
      // A score that is off by d moves a mean of values by at most d times the largest; composed, a score is made in a few roundings of its
      // size.
      const Tensor scores = exact.weights.log() + exact.lse.unsqueeze(-1);
      const double largest = v.abs().max().item<double>();
      ExpectClose(found.output.to(torch::kDouble), exact.output, score, largest * epsilon * (2 + 8 * scores.abs().max().item<double>()));
    }
  }
}

TEST(Attention, ErrorsSayWhatIsExpected) {
  const Tensor q = Draw({2, 4, 3, 8}), k = Draw({2, 2, 5, 8}), v = Draw({2, 2, 5, 4});
  const auto message = [&](const std::function<void(AttentionArgs&)>& change, const Tensor& key) -> std::string {
    AttentionArgs args;
    change(args);
    try {
      attention(q, key, v, args);
    } catch (const c10::ValueError& e) {
      return e.what_without_backtrace();
    }
    return "no error";
  };
  const auto expect = [&](const std::string& text, const std::function<void(AttentionArgs&)>& change) {
    EXPECT_EQ(message(change, k), text);
  };
  expect(
      "[attention] expected score one of "
      "dot, scaled_dot, additive, cosine, euclidean, given; found manhattan",
      [](auto& a) { a.score = "manhattan"; });
  expect("[attention] expected the query projected by W and score dot; found score general", [](auto& a) { a.score = "general"; });
  expect("[attention] expected normaliser one of softmax, sigmoid, sparsemax, entmax15; found soft",
         [](auto& a) { a.normaliser = "soft"; });
  expect("[attention] expected readout one of soft, sample, argmax, straight_through, gumbel; found hard",
         [](auto& a) { a.readout = "hard"; });
  expect("[attention] expected a seed with readout sample; found none", [](auto& a) { a.readout = "sample"; });
  expect("[attention] expected temperature 1 with readout soft; found 0.5", [](auto& a) { a.temperature = 0.5; });
  expect("[attention] expected return_sample with a readout among sample, argmax, straight_through, gumbel; found it with soft",
         [](auto& a) { a.return_sample = true; });
  expect("[attention] expected weights that sum to 1 with readout argmax; found normaliser sigmoid", [](auto& a) {
    a.readout = "argmax";
    a.normaliser = "sigmoid";
  });
  expect("[attention] expected no return_lse with normaliser sparsemax (only softmax has one); found it", [](auto& a) {
    a.normaliser = "sparsemax";
    a.return_lse = true;
  });
  expect("[attention] expected a block size with look_back; found none", [](auto& a) { a.look_back = 1; });
  expect("[attention] expected global_keys (5) or (2, 5); found [4]", [](auto& a) { a.global_keys = torch::ones({4}, torch::kBool); });
  expect("[attention] expected centers and half_width together; found one of them", [](auto& a) { a.half_width = 4; });
  expect("[attention] expected param () or (Hq); found [2, 2]", [](auto& a) {
    a.score = "cosine";
    a.param = torch::ones({2, 2});
  });
  expect("[attention] expected key_lengths (2); found [3]", [](auto& a) { a.key_lengths = Ints({1, 2, 3}); });
  expect("[attention] expected attn_mask that broadcasts to (2, 4, 3, 5); found [2, 1, 5, 5]", [](auto& a) {
    a.attn_mask = torch::ones({2, 1, 5, 5}, torch::kBool);
  });
  expect("[attention] expected a param with score additive; found none", [](auto& a) { a.score = "additive"; });
  expect("[attention] expected a seed with dropout_p > 0; found none", [](auto& a) { a.dropout_p = 0.5; });
  expect("[attention] expected key_rows from 0 to 1; found 0 to 2", [](auto& a) { a.key_rows = Ints({0, 2}); });
  EXPECT_EQ(message([](auto&) {}, Draw({2, 3, 5, 8})),
            "[attention] expected key (B, Hk, Tk, D) and value (B, Hk, Tk, Dv); found "
            "[2, 3, 5, 8] and [2, 2, 5, 4]");
  EXPECT_EQ(explain(q, k, v), "composed: there is no fused kernel for dtype Double");
  EXPECT_EQ(explain(q.to(torch::kFloat), k.to(torch::kFloat), v.to(torch::kFloat)), "fused: score scaled_dot, Float on cpu");
}

}  // namespace
}  // namespace attend::ops
