#include "attend/ops/fused.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <functional>
#include <map>

#include "attend/ops/composed.h"
#include "attend/ops/memory.h"
#include "attend/ops/operators.h"
#include "tests/ops/cases.h"

// The fused kernels against the composed path in double. Rule: the error of a result is at most twice, of a gradient three times, that of
// the composed path in the same precision, plus what roundings of the size of the scores do to it. That is seen by disturbing every score,
// through the bias, by as much as computing it may be off: a handful of roundings of the sum of the absolute values of its terms.
namespace attend::ops {
namespace {

using at::Tensor;
using namespace cases;

constexpr double kEps = 0x1p-24;     // a rounding of single precision
constexpr double kSmallest = 1e-32;  // weights below 2^-126 are 0 or that

// The call on tensors of `type`; all are drawn so that they are exact in single precision.
Call As(const Call& c, at::ScalarType type) {
  Call out = c;
  for (Tensor* t : {&out.query, &out.key, &out.value, &out.param, &out.scores, &out.attn_bias, &out.centers})
    if (t->defined()) *t = t->to(type);
  return out;
}

// What computing a score may be off by, in roundings: its terms' absolute values, the bias, and the logarithm that softmax subtracts.
Tensor SizesOfScores(const Call& c) {
  Tensor size;
  if (c.score == "given") {
    size = c.scores.abs();
  } else {
    const int64_t group = c.query.size(1) / c.key.size(1);
    const Tensor q = c.query, k = c.key.repeat_interleave(group, 1);
    const Tensor products = torch::matmul(q.abs(), k.abs().transpose(2, 3));
    const auto per_head = [&](const Tensor& t) { return t.dim() == 0 ? t : t.view({1, -1, 1, 1}); };
    if (c.score == "additive") {
      const Tensor sums = c.param.abs().sum(-1);
      size = torch::zeros_like(products) + per_head(sums) * 4;  // tanh by exponentials of 2 ulp
    } else if (c.score == "cosine") {
      size = torch::zeros_like(products) + per_head(c.param) * 3;
    } else if (c.score == "euclidean") {
      size = per_head(c.param) * (q.square().sum(-1, true) + k.square().sum(-1).unsqueeze(2) + 2 * products);
    } else {
      size = products * (c.score == "dot" ? 1 : c.scale.value_or(1 / std::sqrt(static_cast<double>(q.size(3)))));
    }
  }
  if (c.attn_bias.defined()) size = size + c.attn_bias.abs();
  return size + std::log(static_cast<double>(c.value.size(2)) + 1) + 1;
}

double Largest(const Tensor& t) { return t.numel() == 0 ? 0 : t.abs().max().item<double>(); }

double Distance(const Tensor& a, const Tensor& b) {  // infinities of the same sign are equal
  if (a.numel() == 0) return 0;
  const Tensor x = a.to(torch::kDouble), y = b.to(torch::kDouble);
  return Largest(torch::where(x.eq(y), 0.0, x - y));
}

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
  b.needs[kSlopes] = false;
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
  out[of + "slopes"] = 0;
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
  return {{"output", Largest(c.value) / (1 - c.dropout_p) * (c.normaliser == "sigmoid" ? static_cast<double>(c.value.size(2)) : 1)},
          {"weights", 1.0},
          {"lse", Largest(lse) + 1},
          {"logp", Largest(o.sample_logp) + 1}};
}

class Fused : public ::testing::TestWithParam<std::string> {
 protected:
  int cells = 0;

  // The same of a call with key_rows: the composed path gets what it means.
  void CheckAs(const Call& c, const std::function<void(Call&)>& meaning, const std::string& what) {
    SCOPED_TRACE(what);
    const Call low = As(c, torch::kFloat);
    Call plain = c, plain_low = low;
    meaning(plain);
    meaning(plain_low);
    EXPECT_TRUE(torch::equal(FusedForward(low).output, FusedForward(plain_low).output));
    Check(plain, what);
    if (HasFatalFailure()) return;
    const Outputs o = FusedForward(low);
    const Gradients found = FusedBackward(BackwardOf(low, o)), expected = FusedBackward(BackwardOf(plain_low, o));
    for (Gradient g : {kQuery, kScores, kParam}) EXPECT_TRUE(torch::equal(found[g], expected[g])) << kGradientNames[g];
    for (Gradient g : {kKey, kValue}) {  // rows used twice sum
      if (found[g].numel() == 0) continue;
      const Tensor sum = RowsOfMemoryBackward(expected[g], g == kKey ? low.key : low.value, low.key_rows);
      EXPECT_TRUE(torch::equal(found[g], sum)) << kGradientNames[g];
    }
  }

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
    // Of scores that computing them has changed: twice, as one draw may be kind.
    std::vector<Call> disturbed;
    const Tensor sizes = SizesOfScores(c);
    for (int i = 0; i < 2; i++) {
      Call d = c;
      const Tensor change = (torch::rand(sizes.sizes(), torch::kDouble) * 2 - 1) * sizes * (5 * kEps);
      d.attn_bias = c.attn_bias.defined() ? c.attn_bias + change : change;
      disturbed.push_back(d);
    }
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
    for (Tensor* t : {&args.param, &args.attn_bias, &args.centers})
      if (t->defined()) *t = t->to(torch::kFloat).to(torch::kDouble);
    return MakeCall(query, key, draw({s.batch, s.kv_heads, s.keys, s.value_dim}), args);
  }
};

// Beside the hostile shapes: more than one tile of queries, more than one panel of keys and of features.
const cases::Shape kTiles = {1, 2, 1, 50, 67, 17, 9}, kWide = {1, 1, 1, 3, 130, 70, 66};

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

TEST_P(Fused, SharesMemory) {
  torch::manual_seed(5);
  for (bool of_positions : {false, true})
    for (int64_t queries : {2, 40}) {
      const cases::Shape s = {4, 2, 1, queries, 70, 7, 5};
      Call c = Base(GetParam(), s, false);
      const auto memory = [&](Tensor& t) { t = t.narrow(0, 0, 3).contiguous(); };
      if (c.key.defined()) memory(c.key);
      memory(c.value);
      c.key_rows = of_positions ? torch::randint(0, 3, {4, 70}, torch::kLong) : Ints({2, 0, 2, 1});
      c.key_lengths = Ints({70, 64, 1, 0});
      CheckAs(
          c,
          [&](Call& of) {
            of.key_rows = Tensor();
            const Tensor index = of_positions ? c.key_rows : c.key_rows.unsqueeze(1).expand({4, 70});
            for (Tensor* t : {&of.key, &of.value})
              if (t->defined()) *t = t->transpose(1, 2).index({index, torch::arange(70)}).transpose(1, 2).contiguous();
          },
          of_positions ? "rows of positions" : "rows");
      if (HasFatalFailure()) return;
    }
}

// What no query sees may be anything; a query that sees nothing, too.
TEST_P(Fused, GarbageThatNobodySeesDoesNotMatter) {
  torch::manual_seed(6);
  for (int64_t queries : {3, 50}) {
    const cases::Shape s = {2, 2, 1, queries, 80, 5, 3};
    Call c = As(Base(GetParam(), s, true), torch::kFloat);
    c.key_lengths = Ints({70, 0});
    c.query_lengths = Ints({queries - 1, 2});
    c.attn_mask = torch::ones({queries, 80}, torch::kBool);
    c.attn_mask.select(1, 9).fill_(false);
    c.attn_mask.select(0, 1).fill_(false);
    c.return_lse = true;
    Call garbage = c;
    for (Tensor* t : {&garbage.query, &garbage.key, &garbage.value, &garbage.scores})
      if (t->defined()) *t = t->clone();
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (Tensor* t : {&garbage.key, &garbage.value}) {
      if (!t->defined()) continue;
      t->select(0, 0).narrow(1, 70, 10).fill_(nan);
      t->select(0, 1).fill_(nan);
      t->select(2, 9).fill_(nan);
    }
    if (garbage.query.defined()) {
      garbage.query.select(2, 1).fill_(nan);
      garbage.query.select(0, 0).select(1, queries - 1).fill_(nan);
      garbage.query.select(0, 1).fill_(nan);
    } else {
      garbage.scores.select(3, 9).fill_(nan);
      garbage.scores.select(0, 1).fill_(nan);
    }
    const Outputs clean = FusedForward(c), found = FusedForward(garbage);
    EXPECT_TRUE(torch::equal(found.output, clean.output));
    EXPECT_TRUE(torch::equal(found.lse, clean.lse));
    EXPECT_EQ(Largest(found.output.select(0, 1)), 0);
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
  for (int64_t queries : {2, 60}) {
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

TEST_P(Fused, PackedSequencesAreSequencesAlone) {
  if (GetParam() == "given") return;  // which cannot be packed
  torch::manual_seed(9);
  const cases::Shape s = {1, 2, 1, 75, 150, 9, 6};
  Call c = As(Base(GetParam(), s, true), torch::kFloat);
  c.cu_seqlens_q = Ints({0, 3, 3, 63, 75});
  c.cu_seqlens_k = Ints({0, 70, 71, 71, 150});
  c.key_lengths = Ints({69, 1, 0, 79});
  c.seed = Ints({4, 5, 6, 7});
  c.dropout_p = 0.2;
  c.return_lse = true;
  c.window_left = 50;
  const Outputs together = FusedForward(c);
  BackwardCall b = BackwardOf(c, together);
  b.output = together.output;
  b.lse = together.lse;
  const Gradients gradients = FusedBackward(b);
  Tensor param;
  for (int64_t i = 0; i < 4; i++) {
    const auto part = [&](const Tensor& t, const Tensor& ends) {
      return t.narrow(2, ends[i].item<int64_t>(), ends[i + 1].item<int64_t>() - ends[i].item<int64_t>());
    };
    Call one = c;
    one.cu_seqlens_q = one.cu_seqlens_k = Tensor();
    one.query = part(c.query, c.cu_seqlens_q);
    one.key = part(c.key, c.cu_seqlens_k);
    one.value = part(c.value, c.cu_seqlens_k);
    one.key_lengths = c.key_lengths.narrow(0, i, 1);
    one.seed = c.seed.narrow(0, i, 1);
    const Outputs alone = FusedForward(one);
    EXPECT_TRUE(torch::equal(part(together.output, c.cu_seqlens_q), alone.output)) << i;
    EXPECT_TRUE(torch::equal(part(together.lse, c.cu_seqlens_q), alone.lse)) << i;
    BackwardCall of_one = b;
    of_one.call = one;
    for (Tensor* t : {&of_one.grad_output, &of_one.grad_lse, &of_one.output, &of_one.lse}) *t = part(*t, c.cu_seqlens_q);
    const Gradients expected = FusedBackward(of_one);
    EXPECT_TRUE(torch::equal(part(gradients[kQuery], c.cu_seqlens_q), expected[kQuery])) << i;
    EXPECT_TRUE(torch::equal(part(gradients[kKey], c.cu_seqlens_k), expected[kKey])) << i;
    EXPECT_TRUE(torch::equal(part(gradients[kValue], c.cu_seqlens_k), expected[kValue])) << i;
    if (expected[kParam].numel() > 0) param = param.defined() ? param + expected[kParam] : expected[kParam];
  }
  if (param.defined()) {
    EXPECT_TRUE(torch::allclose(gradients[kParam], param, 1e-6, 1e-6));
  }
}

// bfloat16 in and out, single precision between: off from double by roundings of the results alone, and by the output that the backward
// pass reads where it is saved. Vectors of an even width may go through products of pairs (kernels/attention_test.cc).
TEST_P(Fused, BFloat16IsSinglePrecisionRounded) {
  torch::manual_seed(10);
  for (int64_t queries : {2, 60}) {
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
