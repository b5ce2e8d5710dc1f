#include "attend/ops/products.h"

#include <torch/torch.h>

#include <functional>
#include <vector>

#include "attend/ops/cells.h"
#include "attend/ops/cross_entropy.h"
#include "attend/ops/step_linear.h"
#include "gtest/gtest.h"

namespace attend::ops {
namespace {

using at::Tensor;

class RoundedProducts : public testing::Test {
 protected:
  void SetUp() override {
    torch::manual_seed(1);
    UseProducts(Products::bf16);
  }
  void TearDown() override { UseProducts(Products::exact); }
};

// Rounding to bfloat16, which has 8 significant bits, moves a number by at most 2^-8 of it.
constexpr double kHalfUlp = 1.0 / 256;

TEST_F(RoundedProducts, OperandsAndResultAreRoundedSumsAreNot) {
  const Tensor x = torch::randn({7, 300}), w = torch::randn({5, 300}), bias = torch::randn({5});
  const Tensor exact = torch::mm(x.to(at::kBFloat16).to(at::kDouble), w.to(at::kBFloat16).to(at::kDouble).t());
  const Tensor y = Linear(x, w), size = exact.abs() * kHalfUlp + 300 * 6e-8 * torch::mm(x.abs(), w.abs().t());
  EXPECT_EQ(y.scalar_type(), at::kFloat);
  EXPECT_TRUE(((y - exact).abs() <= size).all().item<bool>());
  EXPECT_FALSE(torch::allclose(y, torch::linear(x, w), 0, 1e-4));
  // The bias is added in single precision.
  EXPECT_TRUE(torch::equal(Linear(x, w, bias), y + bias));
  EXPECT_TRUE(torch::equal(Product(Operand(x), Operand(w).t()), y));
  Tensor out = torch::empty({7, 5});
  AddProduct(out, bias, Operand(x), Operand(w).t());
  EXPECT_TRUE(torch::equal(out, y + bias));
}

TEST_F(RoundedProducts, DoubleStaysExact) {
  const Tensor x = torch::randn({3, 4}, at::kDouble), w = torch::randn({5, 4}, at::kDouble);
  EXPECT_TRUE(Operand(x).is_same(x));
  EXPECT_TRUE(torch::equal(Linear(x, w), torch::linear(x, w)));
}

// Every user of the setting: value and gradients are near the exact ones, and not equal to them.
TEST_F(RoundedProducts, EveryLayerRounds) {
  const auto leaf = [](at::IntArrayRef shape) { return (torch::randn(shape) * 0.3).requires_grad_(); };
  const Tensor x = leaf({6, 4, 32}), w = leaf({96, 32}), b = leaf({96}), h = leaf({4, 32});
  const Tensor target = torch::randint(96, {4}, at::kLong);
  const std::vector<Tensor> leaves = {x, w, b, h};
  const std::vector<std::function<Tensor()>> uses = {
      [&] { return Linear(x, w, b).square().sum(); },
      [&] { return LinearCrossEntropy(h, w, b, target, 0.1).loss.sum(); },
      [&] {
        const StepLinear step(w, b);
        Tensor sum = torch::zeros({}), state = h;
        for (int64_t t = 0; t < 6; t++) {
          const Tensor y = t % 2 ? step(state) : step(state, Linear(x[t], w, b));
          state = torch::tanh(y.slice(1, 0, 32)) + x[t];
          sum = sum + y.square().sum();
        }
        return sum;
      },
      [&] {
        return CellSequence(Cell::gru, Linear(x, w, b), w, b, {h, {}}, {}, false).states.square().sum();
      },
      [&] {
        return CellSequence(Cell::gru, Linear(x, w, b), w, b, {h, {}}, {}, true).last.h.square().sum();
      },
  };
  for (size_t i = 0; i < uses.size(); i++) {
    const auto run = [&](Products products) {
      UseProducts(products);
      const Tensor value = uses[i]();
      std::vector<Tensor> out = torch::autograd::grad({value}, leaves, {}, false, false, true);
      out.push_back(value);
      return out;
    };
    const auto exact = run(Products::exact), rounded = run(Products::bf16);
    for (size_t k = 0; k < exact.size(); k++) {
      ASSERT_EQ(exact[k].defined(), rounded[k].defined());
      if (!exact[k].defined()) continue;
      EXPECT_EQ(rounded[k].scalar_type(), at::kFloat);
      // Three roundings of 2^-8 in each of some ten products, of random sign.
      const double error = ((exact[k] - rounded[k]).norm() / exact[k].norm()).item<double>();
      EXPECT_LT(error, 10 * kHalfUlp) << "use " << i << ", tensor " << k;
      EXPECT_GT(error, 0) << "use " << i << ", tensor " << k;
    }
  }
}

TEST_F(RoundedProducts, WithoutGradients) {
  const Tensor x = torch::randn({3, 32}), w = torch::randn({8, 32}), b = torch::randn({8}), add = torch::randn({3, 8});
  const c10::InferenceMode inference;
  const StepLinear step(w, b);
  EXPECT_TRUE(torch::equal(step(x), Linear(x, w, b)));
  EXPECT_TRUE(torch::equal(step(x, add), Linear(x, w) + add));
}

}  // namespace
}  // namespace attend::ops
