#include "attend/ops/dropout.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <vector>

#include "attend/kernels/random.h"
#include "attend/ops/attention.h"
#include "attend/ops/philox.h"

namespace attend::ops {
namespace {

using at::Tensor;

Tensor Keys(int64_t n) { return torch::arange(n, torch::kLong) * 7919 - 3; }

TEST(Dropout, DropsAsOftenAsAsked) {
  for (double p : {0.0, 0.1, 0.5, 0.9, 1.0}) {
    const Tensor x = torch::ones({32, 50, 100}), y = dropout(x, Keys(32), p);
    const double n = static_cast<double>(x.numel()), dropped = y.eq(0).sum().item<double>() / n;
    EXPECT_NEAR(dropped, p, 5 * std::sqrt(p * (1 - p) / n) + 1e-5) << p;
    if (p < 1) {
      EXPECT_NEAR(y.max().item<double>(), 1 / (1 - p), 1e-4 / (1 - p)) << p;
    }
  }
}

TEST(Dropout, IsAFunctionOfKeyPositionAndChannel) {
  const Tensor x = torch::randn({4, 6, 21}), keys = Keys(4), y = dropout(x, keys, 0.4, 9, 100);
  const random::Dropout rule(0.4);
  for (int64_t b = 0; b < 4; b++)
    for (int64_t t = 0; t < 6; t++)
      for (int64_t c = 0; c < 21; c++) {
        const auto draws = random::Dropout::Draws(static_cast<uint64_t>(keys[b].item<int64_t>()), static_cast<uint32_t>(c / 8),
                                                  static_cast<uint32_t>(100 + t), 0, 9);
        const float expected = draws[c % 8] >= rule.threshold ? x[b][t][c].item<float>() * rule.scale : 0;
        ASSERT_EQ(y[b][t][c].item<float>(), expected);
      }
}

TEST(Dropout, DoesNotDependOnTheBatchOrItsSlicing) {
  const Tensor x = torch::randn({5, 8, 33}), keys = Keys(5), y = dropout(x, keys, 0.3, 2);
  EXPECT_TRUE(torch::equal(dropout(x.slice(0, 2, 4), keys.slice(0, 2, 4), 0.3, 2), y.slice(0, 2, 4)));
  for (int64_t t = 0; t < 8; t++) EXPECT_TRUE(torch::equal(dropout(x.select(1, t), keys, 0.3, 2, t), y.select(1, t)));
  EXPECT_FALSE(torch::equal(dropout(x, keys, 0.3, 3), y));
  torch::set_num_threads(2);
  EXPECT_TRUE(torch::equal(dropout(x, keys, 0.3, 2), y));
}

TEST(Dropout, LockedUsesOneMaskForAllPositions) {
  const Tensor y = locked_dropout(torch::ones({3, 7, 40}), Keys(3), 0.5, 1);
  EXPECT_TRUE(torch::equal(y, y.slice(1, 0, 1).expand_as(y)));
  EXPECT_TRUE(torch::equal(y.select(1, 0), dropout(torch::ones({3, 40}), Keys(3), 0.5, 1)));
}

TEST(Dropout, BackwardDropsTheSame) {
  for (bool locked : {false, true}) {
    const Tensor x = torch::randn({3, 5, 17}).requires_grad_(), keys = Keys(3);
    const Tensor y = locked ? locked_dropout(x, keys, 0.3) : dropout(x, keys, 0.3);
    y.sum().backward();
    EXPECT_TRUE(
        torch::equal(x.grad(), locked ? locked_dropout(torch::ones({3, 5, 17}), keys, 0.3) : dropout(torch::ones({3, 5, 17}), keys, 0.3)));
    EXPECT_TRUE(torch::allclose(x.grad() * x, y));
  }
}

TEST(Dropout, ADroppedNaNIsZero) {
  const Tensor x = torch::full({4, 64}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_GT(dropout(x, Keys(4), 0.5).eq(0).sum().item<int64_t>(), 64);
}

TEST(Dropout, LowPrecisionKeepsItsType) {
  for (auto dtype : {torch::kDouble, torch::kBFloat16, torch::kHalf}) {
    const Tensor y = dropout(torch::ones({4, 10}, dtype), Keys(4), 0.5);
    EXPECT_EQ(y.scalar_type(), dtype);
    EXPECT_TRUE(torch::equal(y.to(torch::kFloat), dropout(torch::ones({4, 10}), Keys(4), 0.5)));
  }
}

// What other devices run, here on tensors of the CPU.
TEST(Dropout, TensorOperationsGiveTheSame) {
  const auto op = c10::Dispatcher::singleton()
                      .findSchemaOrThrow("attend::dropout", "")
                      .typed<Tensor(const Tensor&, const Tensor&, double, int64_t, c10::SymInt, bool)>();
  for (at::ScalarType type : {at::kFloat, at::kDouble, at::kBFloat16})
    for (const std::vector<int64_t>& shape : std::vector<std::vector<int64_t>>{{4, 21}, {4, 3, 21}, {1, 1, 8}})
      for (bool locked : {false, true}) {
        const Tensor x = torch::randn(shape).to(type), keys = Keys(shape[0]);
        const auto on = [&](c10::DispatchKey key) { return op.redispatch(c10::DispatchKeySet(key), x, keys, 0.4, 5, 11, locked); };
        const Tensor expected = on(c10::DispatchKey::CPU), found = on(c10::DispatchKey::CUDA);
        EXPECT_EQ(found.scalar_type(), type);
        EXPECT_TRUE(torch::equal(found, expected)) << type << " " << shape << (locked ? " locked" : "");
      }
}

TEST(Dropout, RefusesKeysThatDoNotFit) {
  EXPECT_THROW(dropout(torch::ones({4, 10}), Keys(3), 0.5), c10::ValueError);
  EXPECT_THROW(dropout(torch::ones({4, 10}), torch::ones({4}), 0.5), c10::ValueError);
  EXPECT_THROW(dropout(torch::ones({10}), Keys(10), 0.5), c10::ValueError);
  EXPECT_THROW(dropout(torch::ones({4, 10}), Keys(4), 1.5), c10::ValueError);
}

// The tensor formula that runs off the CPU draws the bits of kernels/random.h.
TEST(DropoutFactors, TensorFormulaEqualsTheGenerator) {
  for (const Tensor& offset : {Tensor(), Number(1000), torch::arange(3, torch::kLong) * 5000000000}) {
    for (double p : {0.2, 0.7, 1.0}) {
      const Tensor keys = torch::tensor({int64_t{-5}, int64_t{0x7edcba9876543210}, int64_t{3}}, torch::kLong);
      const Tensor fast = DropoutFactors(keys, offset, 2, 5, 19, 1, p, torch::kFloat);
      EXPECT_TRUE(torch::equal(fast, ComposedDropoutFactors(keys, offset, 2, 5, 19, 1, p, torch::kFloat)));
    }
  }
}

TEST(GumbelDraws, TensorFormulaEqualsTheGenerator) {
  for (const Tensor& offset : {Tensor(), Number(1000), torch::arange(3, torch::kLong) * 5000000000}) {
    const Tensor keys = torch::tensor({int64_t{-5}, int64_t{0x7edcba9876543210}, int64_t{3}}, torch::kLong);
    for (const auto type : {torch::kDouble, torch::kFloat}) {
      const Tensor fast = GumbelDraws(keys, offset, 2, 5, 19, 1, type), composed = ComposedGumbelDraws(keys, offset, 2, 5, 19, 1, type);
      // Two logarithms, each to a few units in the last place.
      EXPECT_TRUE(torch::allclose(fast, composed, type == torch::kDouble ? 1e-13 : 1e-6, type == torch::kDouble ? 1e-13 : 1e-6));
      EXPECT_TRUE(fast.isfinite().all().item<bool>());
    }
  }
  // Mean and variance of a Gumbel distribution: 0.5772 and pi^2 / 6.
  const Tensor many = GumbelDraws(torch::arange(100, torch::kLong), {}, 1, 10, 100, 1, torch::kDouble);
  EXPECT_NEAR(many.mean().item<double>(), 0.5772, 4 * std::sqrt(1.645 / 1e5));
  EXPECT_NEAR(many.var().item<double>(), 1.6449, 0.04);
}

TEST(WeightDropout, ScalesKeptWeightsAndLeavesTheReportedOnes) {
  torch::manual_seed(2);
  const Tensor q = torch::randn({3, 2, 4, 8}, torch::kDouble), k = torch::randn({3, 2, 300, 8}, torch::kDouble);
  const Tensor eye = torch::eye(300, torch::kDouble).expand({3, 2, 300, 300});  // the output is then the weights after dropout
  AttentionArgs args;
  args.need_weights = true;
  args.dropout_p = 0.25;
  args.seed = Number(17);
  const AttentionResult out = attention(q, k, eye, args);
  const Tensor kept = out.output.ne(0);
  EXPECT_NEAR(kept.to(torch::kDouble).mean().item<double>(), 0.75, 0.03);
  EXPECT_TRUE(torch::allclose(out.output.masked_select(kept), (out.weights / 0.75).masked_select(kept), 1e-6, 0));
  EXPECT_TRUE(torch::allclose(out.weights.sum(-1), torch::ones({3, 2, 4}, torch::kDouble)));
  EXPECT_TRUE(torch::equal(attention(q, k, eye, args).output, out.output));
  EXPECT_FALSE(torch::equal(out.output[0].ne(0), out.output[1].ne(0))) << "one number as seed: rows still differ";
  args.seed = Number(18);
  EXPECT_FALSE(torch::equal(attention(q, k, eye, args).output, out.output));
}

}  // namespace
}  // namespace attend::ops
