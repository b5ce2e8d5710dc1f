#include "attend/ops/fused.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <map>

#include "attend/ops/composed.h"
#include "attend/ops/operators.h"
#include "tests/ops/cases.h"

// The fused kernels against the composed path in double. Rule: the error of a result is at most twice, of a gradient three times, that of
// the composed path in the same precision, plus what roundings of the size of the scores do to it. That is seen by disturbing every score,
// through the bias, by as much as computing it may be off: a handful of roundings of the sum of the absolute values of its terms. All
// tensors are drawn so that they are exact in single precision.
namespace attend::ops {
namespace {

using at::Tensor;
using namespace cases;

constexpr double kSmallest = 1e-32;  // weights below 2^-126 are 0 or that

using Results = std::map<std::string, Tensor>;
using Sizes = std::map<std::string, double>;

Results Named(const Outputs& o) { return {{"output", o.output}, {"weights", o.weights}, {"lse", o.lse}, {"logp", o.sample_logp}}; }

constexpr const char* kGradientNames[] = {"query", "key", "value", "param", "scores", "bias", "slopes", "centers"};

// Gradients of a sum of all results with fixed factors.
BackwardCall BackwardOf(const Call& c, const Outputs& o) {
  BackwardCall b;
  b.call = c;
  const auto factors = [](const Tensor& t, int64_t seed) {
    if (t.numel() == 0) return Tensor();
    return torch::cos(torch::arange(t.numel(), torch::kDouble) * 1.7 + static_cast<double>(seed))
        .view(t.sizes())
        .to(torch::kFloat)
        .to(t.scalar_type());
  };
  b.grad_output = factors(o.output, 1);
  if (c.need_weights) b.grad_weights = factors(o.weights, 2);
  if (c.return_lse) b.grad_lse = factors(o.lse, 3);
  if (c.return_sample) {
    b.grad_sample_logp = factors(o.sample_logp, 4);
    b.sample = o.sample;
  }
  b.needs.fill(true);
  return b;
}

Results Named(const Gradients& g) {
  Results out;
  for (int i = 0; i < kGradients; i++) out[std::string("gradient of ") + kGradientNames[i]] = g[static_cast<size_t>(i)];
  return out;
}

// The sums of absolute values that gradients are made of: what a rounding is relative to. The largest of each gradient's elements.
Sizes SizesOfGradients(const BackwardCall& b) {
  Call c = b.call;
  c.need_weights = true;
  const Tensor w = ComposedForward(c).weights;  // (B, Hq, Tq, Tk)
  const int64_t group = w.size(1) / c.value.size(1);
  const auto sum_of_rows = [](const Tensor& t) { return t.sum(-1, true); };
  const Tensor read = torch::matmul(b.grad_output.to(torch::kDouble).abs(), c.value.repeat_interleave(group, 1).abs().transpose(2, 3));
  Tensor of_weights = torch::zeros_like(w);
  const Tensor positive = w.masked_fill(w.eq(0), 1);
  if (c.readout == "soft" || c.readout == "straight_through") of_weights = of_weights + read;
  if (c.readout == "gumbel") of_weights = of_weights + 2 * sum_of_rows(read) / positive / c.temperature;
  if (b.grad_weights.defined()) of_weights = of_weights + b.grad_weights.to(torch::kDouble).abs();
  if (b.grad_sample_logp.defined()) of_weights = of_weights + b.grad_sample_logp.to(torch::kDouble).abs().unsqueeze(-1) / positive;
  of_weights = of_weights.masked_fill(w.eq(0), 0);
  Tensor mean = w;  // what the normaliser's gradient weighs with
  if (c.normaliser == "sparsemax") mean = w.gt(0).to(torch::kDouble);
  if (c.normaliser == "entmax15") mean = w.sqrt();
  Tensor ds = mean * of_weights;
  if (c.normaliser != "sigmoid") {
    const Tensor total = c.normaliser == "softmax" ? torch::ones({1}, torch::kDouble) : sum_of_rows(mean).clamp_min(1e-30);
    ds = ds + mean * sum_of_rows(mean * of_weights) / total;
  }
  if (b.grad_lse.defined()) ds = ds + w * b.grad_lse.to(torch::kDouble).abs().unsqueeze(-1);
  if (c.dropout_p > 0) ds = ds / (1 - c.dropout_p);
  if (c.centers.defined()) ds = ds * 8;  // the weights before the Gaussian are up to e^2 times as large
  const Tensor of_values = torch::matmul(w.transpose(2, 3), b.grad_output.to(torch::kDouble).abs());  // soft; at most that of one weight 1
  Sizes out;
  const std::string of = "gradient of ";
  const double kept = 1 / (1 - c.dropout_p);
  out[of + "value"] =
      kept * (c.readout == "soft" ? Largest(of_values) * static_cast<double>(group) : static_cast<double>(w.size(2) * group));
  out[of + "scores"] = Largest(ds);
  out[of + "bias"] = c.attn_bias.defined() ? Largest(ds.sum_to_size(c.attn_bias.sizes())) : 0;
  out[of + "centers"] = c.centers.defined() ? Largest(sum_of_rows(w * of_weights)) * 4 / *c.half_width : 0;
  out[of + "slopes"] = c.alibi_slopes.defined() ? (ds * Distances(c, ds.size(2), ds.size(3), torch::kDouble)).sum().item<double>() : 0;
  const double rows = Largest(sum_of_rows(ds)), columns = Largest(ds.sum(2)) * static_cast<double>(group), all = ds.sum().item<double>();
  double query = 0, key = 0, param = 0;  // largest derivatives of a score
  if (c.score != "given") {
    const double q = Largest(c.query), k = Largest(c.key), p = c.param.defined() ? Largest(c.param) : 1;
    const auto shortest = [](const Tensor& t) { return t.numel() == 0 ? 1 : t.square().sum(-1).sqrt().min().item<double>(); };
    if (c.score == "additive") {
      query = key = p;
      param = 1;
    } else if (c.score == "cosine") {
      query = 2 * p / shortest(c.query);
      key = 2 * p / shortest(c.key);
      param = 1;
    } else if (c.score == "euclidean") {
      query = key = 2 * p * (q + k);
      param = static_cast<double>(c.query.size(3)) * (q + k) * (q + k);
    } else {
      const double scale =
          c.score == "dot" ? 1 : c.scale.value_or(1 / std::sqrt(static_cast<double>(std::max<int64_t>(c.query.size(3), 1))));
      query = scale * k;
      key = scale * q;
    }
  }
  out[of + "query"] = rows * query;
  out[of + "key"] = columns * key;
  out[of + "param"] = all * param;
  return out;
}

Sizes SizesOfResults(const Outputs& o, const Call& c) {
  const Tensor lse = o.lse.masked_fill(o.lse.isinf(), 0);
  return {{"output", SizeOfOutput(c)}, {"weights", 1.0}, {"lse", Largest(lse) + 1}, {"logp", Largest(o.sample_logp) + 1}};
}

class Fused : public ::testing::TestWithParam<std::string> {
 protected:
  int cells = 0;

  // `c` in double; need_weights: weights and their gradient too.
  void Check(Call c, const std::string& what) {
    SCOPED_TRACE(what);
    cells++;
    const Call low = As(c, torch::kFloat);
    ASSERT_EQ(NotFused(low, ops::Check(low)), "");
    const Outputs exact = ComposedForward(c), composed = ComposedForward(low), found = FusedForward(low);
    if (c.return_sample) {
      ASSERT_TRUE(torch::equal(found.sample, exact.sample)) << found.sample << exact.sample;
    }
    const std::vector<Call> disturbed = {Disturbed(c), Disturbed(c)};  // twice, as one draw may be kind
    std::vector<Outputs> of_disturbed;
    for (const Call& d : disturbed) of_disturbed.push_back(ComposedForward(d));
    const auto compare = [&](const Results& f, const Results& p, const Results& e, const std::vector<Results>& d, const Sizes& of,
                             double factor, double roundings) {
      for (const auto& [name, value] : f) {
        ASSERT_EQ(value.sizes(), p.at(name).sizes()) << name;
        double change = 0;
        for (const Results& r : d) change = std::max(change, Distance(r.at(name), e.at(name)));
        const double of_composed = Distance(p.at(name), e.at(name)),
                     bound = factor * of_composed + 2 * change + roundings * kEps * of.at(name) + kSmallest;
        ASSERT_LE(Distance(value, e.at(name)), bound)
            << name << "; composed " << of_composed << ", of disturbed scores " << change << ", size " << of.at(name);
      }
    };
    std::vector<Results> d;
    for (const Outputs& o : of_disturbed) d.push_back(Named(o));
    compare(Named(found), Named(composed), Named(exact), d, SizesOfResults(exact, c), 2, 4);
    if (HasFatalFailure()) return;
    d.clear();
    for (size_t i = 0; i < disturbed.size(); i++) {
      Gradients g = ComposedBackward(BackwardOf(disturbed[i], exact));
      g[kBias] = c.attn_bias.defined() ? g[kBias].sum_to_size(c.attn_bias.sizes()) : torch::empty({0}, torch::kDouble);
      d.push_back(Named(g));
    }
    for (bool saved : {false, true}) {
      BackwardCall b = BackwardOf(low, found);
      double roundings = 4;
      if (saved) {  // what the forward pass leaves where softmax is read softly
        if (c.normaliser != "softmax" || c.readout != "soft") continue;
        Call with_lse = low;
        with_lse.return_lse = true;
        const Outputs o = FusedForward(with_lse);
        b.output = o.output;
        b.lse = o.lse;
        // It is rounded, and so are the scores that it is subtracted from: all weights of a row are off alike.
        roundings += 3 * Largest(o.lse.masked_fill(o.lse.isinf(), 0));
      }
      const BackwardCall in_double = BackwardOf(c, exact);
      compare(Named(FusedBackward(b)), Named(ComposedBackward(BackwardOf(low, composed))), Named(ComposedBackward(in_double)), d,
              SizesOfGradients(in_double), 3, roundings);
      if (HasFatalFailure()) return;
    }
  }

  static Call Base(const std::string& score, const cases::Shape& s, bool head_vectors, AttentionArgs args = {}) {
    const auto draw = [](std::vector<int64_t> sizes) { return torch::randn(sizes).to(torch::kDouble); };
    Tensor query, key;
    args.score = score;
    if (score == "given") {
      args.scores = draw({s.batch, s.heads, s.queries, s.keys});
    } else {
      query = draw({s.batch, s.heads, s.queries, s.dim});
      key = draw({s.batch, s.kv_heads, s.keys, s.dim});
      args.param = Parameter(score, s.heads, s.dim, head_vectors);
    }
    for (Tensor* t : {&args.param, &args.attn_bias, &args.alibi_slopes, &args.centers})
      if (t->defined()) *t = t->to(torch::kFloat).to(torch::kDouble);
    return MakeCall(query, key, draw({s.batch, s.kv_heads, s.keys, s.value_dim}), args);
  }
};

// Beside the hostile shapes: more than one tile of queries, more than one panel of keys and of features.
const cases::Shape kTiles = {1, 2, 1, 98, 67, 17, 9}, kWide = {1, 1, 1, 3, 130, 70, 66};

TEST_P(Fused, EveryCell) {
  torch::manual_seed(3);
  std::vector<cases::Shape> shapes(std::begin(kShapes), std::end(kShapes));
  shapes.push_back(kTiles);
  shapes.push_back(kWide);
  for (const cases::Shape& s : shapes)
    for (const Masks& masks : kMasks)
      for (const NormaliserAndReadout& choice : Chosen()) {
        const bool large = s.keys > 60;
        if (large && choice.readout != "soft" && choice.readout != "gumbel") continue;  // by row; seen on the small shapes
        AttentionArgs args;
        masks.apply(args, s);
        if (args.centers.defined() && choice.readout != "soft") continue;
        Choose(args, choice, s.batch);
        Call c = Base(GetParam(), s, s.heads % 2 == 0, args);
        c.return_sample = choice.readout != "soft";
        c.return_lse = choice.normaliser == "softmax";
        for (bool weights : {false, true}) {
          if (weights && large) continue;
          c.need_weights = weights;
          Check(c, std::string(masks.name) + ", " + choice.normaliser + ", " + choice.readout + ", Tq " + std::to_string(s.queries) +
                       ", Tk " + std::to_string(s.keys) + (weights ? ", weights" : ""));
          if (HasFatalFailure()) return;
        }
      }
  std::cout << cells << " cells\n";
}

// Each is checked as a call of its own by the rule.
TEST_P(Fused, DropsTheWeightsThatTheComposedPathDrops) {
  torch::manual_seed(4);
  for (const cases::Shape& s : {kShapes[1], kTiles, kWide})
    for (const NormaliserAndReadout& choice : Chosen()) {
      AttentionArgs args;
      Choose(args, choice, s.batch);
      args.is_causal = choice.normaliser == "softmax";
      args.query_offset = Number(3);
      Call c = Base(GetParam(), s, false, args);
      c.dropout_p = 0.3;
      c.return_lse = choice.normaliser == "softmax";
      Check(c, choice.normaliser + ", " + choice.readout);
      if (HasFatalFailure()) return;
    }
}

// A key that the mask hides from every query may be anything, as one beyond the lengths may (attention_test.cc); and a query that sees
// none.
TEST_P(Fused, WhatTheMaskHidesDoesNotMatter) {
  torch::manual_seed(6);
  for (int64_t queries : {3, 98}) {
    const cases::Shape s = {2, 2, 1, queries, 80, 5, 3};
    Call c = As(Base(GetParam(), s, true), torch::kFloat);
    c.attn_mask = torch::ones({queries, 80}, torch::kBool);
    c.attn_mask.select(1, 9).fill_(false);
    c.attn_mask.select(0, 1).fill_(false);
    c.return_lse = true;
    Call garbage = c;
    for (Tensor* t : {&garbage.query, &garbage.key, &garbage.value, &garbage.scores})
      if (t->defined()) *t = t->clone();
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (Tensor* t : {&garbage.key, &garbage.value})
      if (t->defined()) t->select(2, 9).fill_(nan);
    if (garbage.query.defined()) garbage.query.select(2, 1).fill_(nan);
    if (garbage.scores.defined()) {
      garbage.scores.select(3, 9).fill_(nan);
      garbage.scores.select(2, 1).fill_(nan);
    }
    const Outputs clean = FusedForward(c), found = FusedForward(garbage);
    EXPECT_TRUE(torch::equal(found.output, clean.output));
    EXPECT_TRUE(torch::equal(found.lse, clean.lse));
    EXPECT_EQ(Largest(found.output.select(2, 1)), 0);
    for (bool saved : {false, true}) {
      BackwardCall b = BackwardOf(c, clean), of_garbage = BackwardOf(garbage, found);
      if (saved) {
        b.output = of_garbage.output = clean.output;
        b.lse = of_garbage.lse = clean.lse;
      }
      const Gradients expected = FusedBackward(b), gradients = FusedBackward(of_garbage);
      for (size_t g = 0; g < kGradients; g++) EXPECT_TRUE(torch::equal(gradients[g], expected[g])) << kGradientNames[g] << saved;
    }
  }
}

// Several tasks of a head, and of several heads: each adds up alone, and their sums in a fixed order.
TEST_P(Fused, TheSameBitsOnAnyNumberOfThreads) {
  torch::manual_seed(7);
  for (const cases::Shape& s : {cases::Shape{1, 1, 1, 1300, 90, 5, 3}, cases::Shape{3, 4, 2, 30, 90, 5, 3}}) {
    Call c = As(Base(GetParam(), s, false), torch::kFloat);
    c.return_lse = true;
    c.is_causal = true;
    const int threads = at::get_num_threads();
    std::vector<Outputs> outputs;
    std::vector<Gradients> gradients;
    for (int n : {1, 2, 3}) {
      at::set_num_threads(n);
      outputs.push_back(FusedForward(c));
      BackwardCall b = BackwardOf(c, outputs.back());
      b.output = outputs.back().output;
      b.lse = outputs.back().lse;
      gradients.push_back(FusedBackward(b));
    }
    at::set_num_threads(threads);
    for (size_t i = 1; i < outputs.size(); i++) {
      EXPECT_TRUE(torch::equal(outputs[0].output, outputs[i].output));
      for (size_t g = 0; g < kGradients; g++) EXPECT_TRUE(torch::equal(gradients[0][g], gradients[i][g])) << kGradientNames[g];
    }
  }
}

// Vectors that lie apart, as those of (B, T, H, D) do, give the bits of contiguous ones.
TEST_P(Fused, ReadsVectorsWhereTheyLie) {
  torch::manual_seed(8);
  for (int64_t queries : {2, 100}) {
    const cases::Shape s = {2, 2, 2, queries, 70, 9, 6};
    const Call c = As(Base(GetParam(), s, false), torch::kFloat);
    Call apart = c;
    for (Tensor* t : {&apart.query, &apart.key, &apart.value})
      if (t->defined()) *t = t->transpose(1, 2).contiguous().transpose(1, 2);
    if (apart.scores.defined()) apart.scores = apart.scores.transpose(2, 3).contiguous().transpose(2, 3);
    EXPECT_TRUE(torch::equal(FusedForward(apart).output, FusedForward(c).output));
    const Outputs o = FusedForward(c);
    const Gradients expected = FusedBackward(BackwardOf(c, o)), found = FusedBackward(BackwardOf(apart, o));
    for (size_t g = 0; g < kGradients; g++) EXPECT_TRUE(torch::equal(found[g], expected[g])) << kGradientNames[g];
  }
}

// bfloat16 in and out, single precision between: off from double by roundings of the results alone, and by the output that the backward
// pass reads where it is saved. Vectors of an even width may go through products of pairs (kernels/attention_test.cc).
TEST_P(Fused, BFloat16IsSinglePrecisionRounded) {
  torch::manual_seed(10);
  for (int64_t queries : {2, 100}) {
    const cases::Shape s = {2, 2, 1, queries, 70, 9, 6};
    Call low = As(Base(GetParam(), s, false), torch::kBFloat16), wide = As(low, torch::kFloat);
    low.is_causal = wide.is_causal = true;
    low.need_weights = wide.need_weights = true;
    const Outputs found = FusedForward(low), expected = FusedForward(wide);
    EXPECT_TRUE(torch::equal(found.output, expected.output.to(torch::kBFloat16)));
    EXPECT_TRUE(torch::equal(found.weights, expected.weights.to(torch::kBFloat16)));
    BackwardCall of_low = BackwardOf(low, found), of_wide = BackwardOf(wide, expected);
    of_wide.grad_output = of_low.grad_output.to(torch::kFloat);
    of_wide.grad_weights = of_low.grad_weights.to(torch::kFloat);
    const Gradients rounded = FusedBackward(of_low), exact = FusedBackward(of_wide);
    for (size_t g = 0; g < kGradients; g++)
      EXPECT_TRUE(torch::equal(rounded[g], exact[g].to(rounded[g].scalar_type()))) << kGradientNames[g];
  }
}

INSTANTIATE_TEST_SUITE_P(Attention, Fused, ::testing::ValuesIn(Scores()), [](const auto& i) { return i.param; });

}  // namespace
}  // namespace attend::ops
