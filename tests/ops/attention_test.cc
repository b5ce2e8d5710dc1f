#include "attend/ops/attention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "attend/base/enum.h"
#include "attend/spec/mechanisms.h"
#include "tests/ops/reference_attention.h"

namespace attend::ops {
namespace {

using at::Tensor;

Tensor Draw(std::vector<int64_t> sizes) { return torch::randn(sizes, torch::kDouble); }

Tensor Ints(std::vector<int64_t> values) { return torch::tensor(values, torch::kLong); }

void ExpectClose(const Tensor& found, const Tensor& expected, const std::string& what, double tolerance = 1e-12) {
  ASSERT_EQ(found.sizes(), expected.sizes()) << what;
  EXPECT_TRUE(torch::allclose(found, expected, tolerance, tolerance))
      << what << ": largest difference " << (found - expected).abs().max().item<double>();
}

void ExpectEqualsReference(const Tensor& q, const Tensor& k, const Tensor& v, AttentionArgs args, const std::string& what) {
  args.need_weights = args.return_lse = true;
  const AttentionResult found = attention(q, k, v, args);
  const reference::Reference expected = reference::Attention(q, k, v, args);
  ExpectClose(found.output, expected.output, what + " output");
  ExpectClose(found.weights, expected.weights, what + " weights");
  ASSERT_EQ(found.lse.sizes(), expected.lse.sizes()) << what;
  EXPECT_TRUE(torch::equal(found.lse.isinf(), expected.lse.isinf())) << what;
  ExpectClose(torch::where(found.lse.isinf(), 0, found.lse), torch::where(expected.lse.isinf(), 0, expected.lse), what + " lse");
}

// Every score that takes queries and keys, as the lists name them, and given scores.
std::vector<std::string> Scores() {
  std::vector<std::string> out = {"given"};
  for (const Choice& c : Choices(spec::Score{}))
    if (c.name != "general") out.emplace_back(c.name);
  return out;
}

struct Shape {
  int64_t batch, heads, kv_heads, queries, keys, dim, value_dim;
};
// Hostile by default: 1, primes, powers of two ± 1, Tq ≠ Tk, Dv ≠ D, grouped heads, nothing at all.
const Shape kShapes[] = {
    {1, 1, 1, 1, 1, 1, 1}, {2, 4, 2, 3, 7, 5, 3}, {3, 2, 2, 5, 2, 8, 4}, {2, 3, 1, 1, 17, 6, 2}, {2, 2, 1, 4, 0, 3, 2}};

// What the masks add to a call.
struct Masks {
  const char* name;
  void (*apply)(AttentionArgs&, const Shape&);
};
const Masks kMasks[] = {
    {"none", [](AttentionArgs&, const Shape&) {}},
    {"causal", [](AttentionArgs& a, const Shape&) { a.is_causal = true; }},
    {"window", [](AttentionArgs& a, const Shape&) { a.window_left = 1, a.window_right = 2; }},
    {"left window", [](AttentionArgs& a, const Shape&) { a.window_left = 0; }},
    {"causal window", [](AttentionArgs& a, const Shape&) { a.is_causal = true, a.window_left = 2; }},
    {"lengths",
     [](AttentionArgs& a, const Shape& s) {
       a.key_lengths = torch::arange(s.batch, torch::kLong);
       a.query_lengths = torch::arange(s.batch, torch::kInt) + 1;
     }},
    {"mask",
     [](AttentionArgs& a, const Shape& s) {
       a.attn_mask = torch::rand({s.batch, 1, s.queries, s.keys}) > 0.5;
     }},
    {"mask of heads",
     [](AttentionArgs& a, const Shape& s) {
       a.attn_mask = torch::rand({s.heads, s.queries, s.keys}) > 0.4;
     }},
    {"offset", [](AttentionArgs& a, const Shape& s) { a.is_causal = true, a.query_offset = torch::arange(s.batch, torch::kLong) * 2; }},
    {"everything",
     [](AttentionArgs& a, const Shape& s) {
       a.is_causal = true;
       a.window_left = 3;
       a.query_offset = Number(1);
       a.key_lengths = torch::arange(s.batch, torch::kLong) + 1;
       a.attn_mask = torch::rand({s.queries, s.keys}) > 0.2;
       a.attn_bias = Draw({1, s.heads, 1, s.keys});
     }},
    {"bias",
     [](AttentionArgs& a, const Shape& s) {
       a.attn_bias = Draw({s.batch, 1, s.queries, 1});
     }},
};

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
        if (args.score == "additive") args.param = head_vectors ? Draw({s.heads, s.dim}) : Draw({s.dim});
        if (args.score == "given") {
          q = k = Tensor();
          args.scores = Draw({s.batch, s.heads, s.queries, s.keys});
        }
        if (head_vectors && args.score != "additive") continue;
        ExpectEqualsReference(q, k, v, args, args.score + ", " + masks.name + ", Tk " + std::to_string(s.keys));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Attention, Grid, ::testing::ValuesIn(Scores()), [](const auto& i) { return i.param; });

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
  for (Tensor* t : {&q, &k, &v, &args.param, &args.attn_bias})
    if (t->defined()) leaves.push_back(*t = t->detach().clone().requires_grad_());
  Differentiated out{attention(q, k, v, args), {}};
  Tensor loss = out.result.output.cos().sum();
  if (args.need_weights) loss = loss + out.result.weights.square().sum();
  if (args.return_lse) loss = loss + torch::where(out.result.lse.isinf(), 0, out.result.lse).sin().sum();
  loss.backward();
  for (const Tensor& t : leaves) out.gradients.push_back(t.grad());
  return out;
}

AttentionArgs Args(const std::string& score, int64_t dim) {
  AttentionArgs args;
  args.score = score;
  if (score == "additive") args.param = Draw({dim});
  return args;
}

TEST(Attention, WhatLiesBeyondTheLengthsNeverMatters) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  for (const std::string score : {"dot", "scaled_dot", "additive"}) {
    AttentionArgs args = Args(score, 4);
    args.key_lengths = Ints({3, 0, 6});
    args.query_lengths = Ints({2, 1, 3});
    args.need_weights = args.return_lse = true;
    Tensor q = Draw({3, 2, 3, 4}), k = Draw({3, 2, 6, 4}), v = Draw({3, 2, 6, 5});
    const Differentiated clean = WithGradients(q, k, v, args);
    for (double garbage : {nan, inf, -inf, 1e300}) {
      Tensor bad_q = q.clone(), bad_k = k.clone(), bad_v = v.clone();
      for (int64_t b = 0; b < 3; b++) {
        bad_q[b].slice(1, args.query_lengths[b].item<int64_t>()).fill_(garbage);
        bad_k[b].slice(1, args.key_lengths[b].item<int64_t>()).fill_(garbage);
        bad_v[b].slice(1, args.key_lengths[b].item<int64_t>()).fill_(garbage);
      }
      const Differentiated dirty = WithGradients(bad_q, bad_k, bad_v, args);
      EXPECT_TRUE(torch::equal(dirty.result.output, clean.result.output)) << score << " " << garbage;
      EXPECT_TRUE(torch::equal(dirty.result.weights, clean.result.weights)) << score << " " << garbage;
      EXPECT_TRUE(torch::equal(dirty.result.lse, clean.result.lse)) << score << " " << garbage;
      for (size_t g = 0; g < clean.gradients.size(); g++)
        ExpectClose(dirty.gradients[g], clean.gradients[g], score + " gradient " + std::to_string(g));
    }
  }
}

TEST(Attention, AQueryThatSeesNothingGivesNothing) {
  for (const std::string score : {"dot", "scaled_dot", "additive"}) {
    AttentionArgs args = Args(score, 4);
    args.attn_mask = torch::ones({1, 1, 3, 5}, torch::kBool);
    args.attn_mask.select(2, 1).fill_(false);
    args.need_weights = args.return_lse = true;
    const Differentiated run = WithGradients(Draw({2, 2, 3, 4}), Draw({2, 2, 5, 4}), Draw({2, 2, 5, 6}), args);
    EXPECT_EQ(run.result.output.select(2, 1).abs().sum().item<double>(), 0);
    EXPECT_EQ(run.result.weights.select(2, 1).abs().sum().item<double>(), 0);
    EXPECT_TRUE(run.result.lse.select(2, 1).eq(-std::numeric_limits<double>::infinity()).all().item<bool>());
    EXPECT_EQ(run.gradients[0].select(2, 1).abs().sum().item<double>(), 0);
    EXPECT_GT(run.gradients[0].select(2, 0).abs().sum().item<double>(), 0);
    for (const Tensor& g : run.gradients) EXPECT_TRUE(g.isfinite().all().item<bool>());
  }
}

TEST(Attention, ARowIsTheSameAloneAndInABatch) {
  for (const std::string score : {"dot", "scaled_dot", "additive"}) {
    AttentionArgs args = Args(score, 16);
    args.dropout_p = 0.3;
    args.need_weights = true;
    const Tensor q = Draw({7, 2, 3, 16}), k = Draw({7, 1, 11, 16}), v = Draw({7, 1, 11, 8}), lengths = Ints({11, 1, 5, 0, 7, 10, 2});
    const Tensor seeds = torch::arange(7, torch::kLong) * 12345 + 6;
    args.key_lengths = lengths;
    args.seed = seeds;
    const AttentionResult all = attention(q, k, v, args);
    for (int64_t b = 0; b < 7; b++) {
      const int64_t keys = std::max<int64_t>(1, lengths[b].item<int64_t>());  // and without its padding
      args.key_lengths = lengths.slice(0, b, b + 1);
      args.seed = seeds.slice(0, b, b + 1);
      const AttentionResult one =
          attention(q.slice(0, b, b + 1), k.slice(0, b, b + 1).slice(2, 0, keys), v.slice(0, b, b + 1).slice(2, 0, keys), args);
      ExpectClose(one.output, all.output.slice(0, b, b + 1), "output");
      ExpectClose(one.weights, all.weights.slice(0, b, b + 1).slice(3, 0, keys), "weights");
    }
  }
}

TEST(Attention, StepsEqualOneCall) {
  for (const std::string score : {"dot", "scaled_dot", "additive"}) {
    for (const Masks& masks : {kMasks[1], kMasks[2], kMasks[4]}) {
      AttentionArgs args = Args(score, 4);
      masks.apply(args, kShapes[1]);
      args.dropout_p = 0.4;
      args.seed = Ints({3, -4});
      const Tensor q = Draw({2, 2, 9, 4}), k = Draw({2, 2, 9, 4}), v = Draw({2, 2, 9, 4});
      const Tensor whole = attention(q, k, v, args).output;
      for (int64_t i = 0; i < 9; i++) {
        args.query_offset = Number(i);
        ExpectClose(attention(q.slice(2, i, i + 1), k, v, args).output, whole.slice(2, i, i + 1), score + ", " + masks.name);
      }
      args.query_offset = Tensor();
    }
  }
}

TEST(Attention, BeamsShareMemory) {
  for (const Tensor& rows : {Ints({0, 0, 1, 1, 0}), torch::randint(0, 2, {5, 6}, torch::kLong)}) {
    AttentionArgs args = Args("additive", 4);
    args.key_rows = rows;
    args.key_lengths = Ints({6, 2, 3, 4, 5});
    const Tensor q = Draw({5, 4, 1, 4}), k = Draw({2, 2, 6, 4}), v = Draw({2, 2, 6, 3});
    ExpectEqualsReference(q, k, v, args, "key_rows");
    // In gradients, rows used twice sum: as if each batch row had had its own copy.
    const Differentiated shared = WithGradients(q, k, v, args);
    const auto copy = [&](const Tensor& t) {
      if (rows.dim() == 1) return t.index_select(0, rows);
      Tensor out = torch::empty({5, 2, 6, t.size(3)}, torch::kDouble);
      for (int64_t b = 0; b < 5; b++)
        for (int64_t j = 0; j < 6; j++) out[b].select(1, j).copy_(t[rows[b][j].item<int64_t>()].select(1, j));
      return out;
    };
    AttentionArgs own = args;
    own.key_rows = Tensor();
    const Differentiated copied = WithGradients(q, copy(k), copy(v), own);
    ExpectClose(shared.gradients[0], copied.gradients[0], "query");
    for (int64_t input : {1, 2}) {
      Tensor sum = torch::zeros_like(input == 1 ? k : v);
      for (int64_t b = 0; b < 5; b++)
        for (int64_t j = 0; j < 6; j++)
          sum[(rows.dim() == 1 ? rows[b] : rows[b][j]).item<int64_t>()].select(1, j) += copied.gradients[input][b].select(1, j);
      ExpectClose(shared.gradients[input], sum, "memory");
    }
  }
}

// Batch rows that share memory are computed side by side; what they see may differ all the same.
TEST(Attention, SharedMemoryUnderEveryMask) {
  torch::manual_seed(1);
  const Shape s = {6, 4, 2, 3, 7, 5, 3};
  for (const Tensor& rows : {Ints({0, 0, 0, 1, 1, 1}), Ints({1, 0, 0, 1, 1, 0}), Ints({0, 0, 2, 0, 2, 0}), Ints({0, 0, 0, 0, 0, 1})}) {
    for (const std::string& score : Scores()) {
      for (const Masks& masks : kMasks) {
        AttentionArgs args;
        args.score = score;
        args.key_rows = rows;
        masks.apply(args, s);
        const int64_t memory = rows.max().item<int64_t>() + 1;
        Tensor q = Draw({s.batch, s.heads, s.queries, s.dim}), k = Draw({memory, s.kv_heads, s.keys, s.dim});
        if (score == "additive") args.param = Draw({s.heads, s.dim});
        if (score == "given") {
          q = k = Tensor();
          args.scores = Draw({s.batch, s.heads, s.queries, s.keys});
        }
        const Tensor v = Draw({memory, s.kv_heads, s.keys, s.value_dim});
        ExpectEqualsReference(q, k, v, args, score + ", " + masks.name);
        if (!args.key_lengths.defined()) continue;
        // What lies beyond the lengths of all its readers may be anything.
        const Tensor read = torch::zeros({memory}, torch::kLong).index_reduce_(0, rows, args.key_lengths, "amax");
        const Tensor beyond = (torch::arange(s.keys).unsqueeze(0) >= read.unsqueeze(1)).view({memory, 1, s.keys, 1});
        const auto spoilt = [&](const Tensor& t) { return t.defined() ? t.masked_fill(beyond, NAN) : t; };
        ExpectClose(attention(q, spoilt(k), spoilt(v), args).output, attention(q, k, v, args).output, score + ", NaN");
      }
    }
  }
}

TEST(Attention, PackedSequencesEqualSequencesAlone) {
  AttentionArgs args = Args("additive", 4);
  args.is_causal = true;
  args.return_lse = true;
  args.dropout_p = 0.25;
  args.seed = Ints({11, 12, 13});
  args.cu_seqlens_q = Ints({0, 3, 3, 7});
  args.cu_seqlens_k = torch::tensor({0, 4, 6, 11}, torch::kInt);
  const Tensor q = Draw({1, 2, 7, 4}), k = Draw({1, 1, 11, 4}), v = Draw({1, 1, 11, 5});
  const Differentiated packed = WithGradients(q, k, v, args);
  AttentionArgs one = args;
  one.cu_seqlens_q = one.cu_seqlens_k = Tensor();
  Tensor param_gradient = torch::zeros({4}, torch::kDouble);
  const int64_t starts_q[] = {0, 3, 3, 7}, starts_k[] = {0, 4, 6, 11};
  for (int64_t n = 0; n < 3; n++) {
    one.seed = args.seed.slice(0, n, n + 1);
    const auto cut_q = [&](const Tensor& t) { return t.slice(2, starts_q[n], starts_q[n + 1]); };
    const auto cut_k = [&](const Tensor& t) { return t.slice(2, starts_k[n], starts_k[n + 1]); };
    const Differentiated alone = WithGradients(cut_q(q), cut_k(k), cut_k(v), one);
    ExpectClose(cut_q(packed.result.output), alone.result.output, "output");
    ExpectClose(cut_q(packed.result.lse), alone.result.lse, "lse");
    ExpectClose(cut_q(packed.gradients[0]), alone.gradients[0], "query");
    ExpectClose(cut_k(packed.gradients[1]), alone.gradients[1], "key");
    ExpectClose(cut_k(packed.gradients[2]), alone.gradients[2], "value");
    param_gradient += alone.gradients[3];
  }
  ExpectClose(packed.gradients[3], param_gradient, "param");
}

TEST(Attention, APreparedKeyStandsForTheKey) {
  const Tensor q = Draw({2, 2, 3, 4}), v = Draw({2, 2, 5, 4}), k = Draw({2, 2, 5, 4}).requires_grad_();
  AttentionArgs args = Args("additive", 4);
  const PreparedKey prepared = prepare(k, "additive", args.param);
  const Tensor out = attention(q, prepared, v, args).output;
  ExpectClose(out, attention(q, k, v, args).output, "output");
  out.sum().backward();
  EXPECT_TRUE(k.grad().defined());
  args.score = "dot";
  EXPECT_THROW(attention(q, prepared, v, args), c10::ValueError);
}

TEST(Attention, LowPrecisionIsCloseToDouble) {
  for (const std::string score : {"dot", "scaled_dot", "additive"}) {
    AttentionArgs args = Args(score, 8);
    const Tensor q = Draw({2, 2, 3, 8}), k = Draw({2, 2, 5, 8}), v = Draw({2, 2, 5, 4});
    const Tensor exact = attention(q, k, v, args).output;
    for (const auto& [dtype, tolerance] :
         {std::pair{torch::kFloat, 1e-5}, std::pair{torch::kBFloat16, 0.05}, std::pair{torch::kHalf, 0.01}}) {
      const AttentionResult low = attention(q.to(dtype), k.to(dtype), v.to(dtype), args);
      EXPECT_EQ(low.output.scalar_type(), dtype);
      ExpectClose(low.output.to(torch::kDouble), exact, score, tolerance);
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
      "dot, scaled_dot, additive, given; found cosine",
      [](auto& a) { a.score = "cosine"; });
  expect("[attention] expected the query projected by W and score dot; found score general", [](auto& a) { a.score = "general"; });
  expect("[attention] expected normaliser one of softmax; found sparsemax", [](auto& a) { a.normaliser = "sparsemax"; });
  expect("[attention] expected readout one of soft; found argmax", [](auto& a) { a.readout = "argmax"; });
  expect("[attention] expected a support among all, window (is_causal, lengths and attn_mask combine with each); found block",
         [](auto& a) { a.block_size = 4; });
  expect("[attention] expected a support among all, window; found centers or half_width (predictive)", [](auto& a) { a.half_width = 4; });
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
  EXPECT_THAT(explain(q, k, v), ::testing::StartsWith("composed: there is no fused kernel for score scaled_dot"));
}

}  // namespace
}  // namespace attend::ops
