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
  AddLinear(out, bias, Operand(x), Operand(w));
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

// Single precision: each product is this library's own.

// Sums of n terms in single precision against a double result: relative to its norm.
double Bound(int64_t n) { return static_cast<double>(n + 1) * 6e-8; }

double Error(const Tensor& found, const Tensor& exact) { return ((found.to(at::kDouble) - exact).norm() / exact.norm()).item<double>(); }

TEST(Products, LinearAndItsGradientsAreThoseOfTorch) {
  torch::manual_seed(1);
  for (bool bias : {false, true})
    for (bool turned : {false, true}) {  // operands that do not lie by rows
      Tensor x = torch::randn({7, 5, 70}), w = torch::randn({33, 70}), b = torch::randn({33}), dy = torch::randn({7, 5, 33});
      if (turned) {
        x = x.transpose(0, 2).contiguous().transpose(0, 2);
        w = w.t().contiguous().t();
        dy = dy.transpose(0, 1).contiguous().transpose(0, 1);
      }
      const auto run = [&](at::ScalarType type, auto linear) {
        std::vector<Tensor> in = {x.to(type).requires_grad_(), w.to(type).requires_grad_()};
        if (bias) in.push_back(b.to(type).requires_grad_());
        const Tensor y = linear(in[0], in[1], bias ? in[2] : Tensor());
        std::vector<Tensor> out = torch::autograd::grad({y}, in, {dy.to(type)});
        out.push_back(y);
        return out;
      };
      const auto found = run(at::kFloat, [](auto&&... a) { return Linear(a...); });
      const auto exact = run(at::kDouble, [](auto&&... a) { return torch::linear(a...); });
      ASSERT_EQ(found.size(), exact.size());
      for (size_t i = 0; i < found.size(); i++) {
        EXPECT_EQ(found[i].sizes(), exact[i].sizes());
        EXPECT_LE(Error(found[i], exact[i]), Bound(70)) << "tensor " << i << (bias ? ", bias" : "") << (turned ? ", turned" : "");
      }
    }
}

TEST(Products, LinearOfWhatNeedsNoGradient) {
  torch::manual_seed(1);
  const Tensor x = torch::randn({4, 9}).requires_grad_(), w = torch::randn({3, 9}), dy = torch::randn({4, 3});
  EXPECT_LE(Error(torch::autograd::grad({Linear(x, w)}, {x}, {dy})[0], dy.to(at::kDouble).mm(w.to(at::kDouble))), Bound(3));
  EXPECT_FALSE(Linear(x.detach(), w).requires_grad());
  const Tensor none = Linear(torch::empty({0, 9}), w, torch::zeros({3}));
  EXPECT_EQ(none.sizes(), at::IntArrayRef({0, 3}));
}

TEST(Products, ASecondDerivativeOfLinearIsRefused) {
  const Tensor x = torch::randn({4, 9}).requires_grad_(), w = torch::randn({3, 9}).requires_grad_();
  EXPECT_ANY_THROW(torch::autograd::grad({Linear(x, w).square().sum()}, {x}, {}, true, true));
}

TEST(Products, TheSameBitsWhateverTheThreadsTheBatchAndTheLayout) {
  torch::manual_seed(1);
  const Tensor x = torch::randn({130, 1500}), w = torch::randn({300, 1500}), add = torch::randn({130, 300});
  const auto with = [&](const Tensor& weight) {
    Tensor out = torch::empty({130, 300});
    AddOwnLinear(out, add, x, weight);
    return out;
  };
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const Tensor one = with(w);
  EXPECT_LE(Error(one, x.to(at::kDouble).mm(w.to(at::kDouble).t()) + add), Bound(1500));
  for (int n : {1, 2, 3}) {
    at::set_num_threads(n);
    EXPECT_TRUE(torch::equal(with(w), one)) << n;
    EXPECT_TRUE(torch::equal(with(w.t().contiguous().t()), one)) << n;
    for (bool lasting : {false, true}) {
      Tensor out = add.clone();
      PackedWeight(w, lasting).AddLinear(out, out, x);
      EXPECT_TRUE(torch::equal(out, one)) << n;
    }
    Tensor row = torch::empty({1, 300});
    AddOwnLinear(row, add[77], x.slice(0, 77, 78), w);
    EXPECT_TRUE(torch::equal(row[0], one[77])) << n;
  }
  at::set_num_threads(threads);
}

}  // namespace
}  // namespace attend::ops
