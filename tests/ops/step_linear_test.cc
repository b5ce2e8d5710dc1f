#include "attend/ops/step_linear.h"

#include <torch/torch.h>

#include <vector>

#include "gtest/gtest.h"

namespace attend::ops {
namespace {

using at::Tensor;

struct Case {
  Tensor weight = torch::randn({5, 3}, torch::kDouble).requires_grad_(), bias = torch::randn({5}, torch::kDouble).requires_grad_();
  std::vector<Tensor> x;  // one a use, differentiable

  explicit Case(int uses) {
    for (int i = 0; i < uses; i++) x.push_back(torch::randn({2, 3}, torch::kDouble).requires_grad_());
  }
  std::vector<Tensor> Leaves() const {
    std::vector<Tensor> out = {weight, bias};
    out.insert(out.end(), x.begin(), x.end());
    return out;
  }
};

using Layer = std::function<Tensor(const Tensor& x, const Tensor& addend)>;

Layer Plain(const Tensor& weight, const Tensor& bias) {
  return [=](const Tensor& x, const Tensor& addend) {
    return addend.defined() ? addend + torch::matmul(x, weight.t()) : torch::linear(x, weight, bias);
  };
}

// A loop in which each use reads what the last one gave; every other use takes an addend.
Tensor Walk(const Layer& layer, const Case& c, const Tensor& bias, bool addends) {
  Tensor state = torch::zeros({2, 3}, torch::kDouble), sum = torch::zeros({}, torch::kDouble);
  for (size_t i = 0; i < c.x.size(); i++) {
    const Tensor y = layer(c.x[i] + state, addends && i % 2 ? torch::sin(c.x[i].sum()) + bias.expand({2, 5}) * 2 : Tensor());
    state = torch::tanh(y.slice(1, 0, 3));
    sum = sum + (y * y).sum();
  }
  return sum + state.sum();
}

void ExpectEqual(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); i++) {
    ASSERT_EQ(a[i].defined(), b[i].defined()) << i;
    EXPECT_TRUE(!a[i].defined() || torch::allclose(a[i], b[i], 1e-12, 1e-12)) << i;
  }
}

std::vector<Tensor> Gradients(const Tensor& loss, const std::vector<Tensor>& of, bool keep = false) {
  return torch::autograd::grad({loss}, of, {}, keep, false, true);
}

TEST(StepLinear, GradientsEqualThoseOfPlainLinear) {
  for (int uses : {1, 2, 7})
    for (bool addends : {false, true}) {
      torch::manual_seed(uses);
      const Case c(uses);
      const Tensor ours = Walk(StepLinear(c.weight, c.bias), c, c.bias, addends), plain = Walk(Plain(c.weight, c.bias), c, c.bias, addends);
      EXPECT_NEAR(ours.item<double>(), plain.item<double>(), 1e-12);
      ExpectEqual(Gradients(ours, c.Leaves()), Gradients(plain, c.Leaves()));
    }
}

// In single precision the weight is laid out once for all uses, and once for their gradients.
TEST(StepLinear, SinglePrecision) {
  torch::manual_seed(1);
  const Tensor w = torch::randn({40, 70}) / 8, bias = torch::randn({40}), x = torch::randn({6, 9, 70}), dy = torch::randn({6, 9, 40});
  const auto run = [&](at::ScalarType type, bool biased, bool addends, bool plain) {
    const Tensor weight = w.to(type).requires_grad_(), b = bias.to(type).requires_grad_(), in = x.to(type).requires_grad_();
    const Tensor added = biased ? b : Tensor();
    const Layer layer = plain ? Plain(weight, added) : Layer(StepLinear(weight, added));
    std::vector<Tensor> y;
    for (int64_t t = 0; t < x.size(0); t++) y.push_back(layer(in[t], addends && t % 2 ? b.expand({9, 40}) * 2 : Tensor()));
    std::vector<Tensor> out = torch::autograd::grad({torch::stack(y)}, {weight, b, in}, {dy.to(type)}, false, false, true);
    out.push_back(torch::stack(y));
    return out;
  };
  for (bool biased : {false, true})
    for (bool addends : {false, true}) {
      const auto found = run(at::kFloat, biased, addends, false), exact = run(at::kDouble, biased, addends, true);
      for (size_t i = 0; i < found.size(); i++) {
        ASSERT_EQ(found[i].defined(), exact[i].defined()) << i;
        if (!found[i].defined()) continue;
        EXPECT_EQ(found[i].scalar_type(), at::kFloat);
        // Sums of at most 70 terms.
        EXPECT_LE((found[i] - exact[i]).norm().item<double>(), 71 * 6e-8 * exact[i].norm().item<double>()) << i;
      }
    }
}

TEST(StepLinear, WithoutBias) {
  const Case c(3);
  const Tensor none;
  const auto walk = [&](const Layer& layer) { return Walk(layer, c, c.bias, true); };
  ExpectEqual(Gradients(walk(StepLinear(c.weight, none)), c.Leaves()), Gradients(walk(Plain(c.weight, none)), c.Leaves()));
}

TEST(StepLinear, InputsWithoutGradient) {
  const Case c(2);
  const StepLinear layer(c.weight, c.bias);
  const Tensor x0 = c.x[0].detach(), x1 = c.x[1].detach();
  ExpectEqual(Gradients((layer(x0) * layer(x1)).sum(), {c.weight, c.bias}),
              Gradients((torch::linear(x0, c.weight, c.bias) * torch::linear(x1, c.weight, c.bias)).sum(), {c.weight, c.bias}));
}

TEST(StepLinear, AnUnusedOneHasNoGradient) {
  const Case c(1);
  const StepLinear layer(c.weight, c.bias);
  for (const Tensor& g : Gradients(c.x[0].sum(), {c.weight, c.bias})) EXPECT_FALSE(g.defined());
  // A use that does not reach the loss counts for nothing.
  const Tensor wasted = layer(c.x[0]), used = layer(c.x[0]);
  ExpectEqual(Gradients(used.sum(), {c.weight, c.bias}), Gradients(torch::linear(c.x[0], c.weight, c.bias).sum(), {c.weight, c.bias}));
}

TEST(StepLinear, FrozenParameters) {
  const Case c(2);
  const Tensor frozen = c.weight.detach(), still = c.bias.detach();
  const auto with = [&](const Tensor& weight, const Tensor& bias, const std::vector<Tensor>& of) {
    ExpectEqual(Gradients(Walk(StepLinear(weight, bias), c, c.bias, false), of),
                Gradients(Walk(Plain(weight, bias), c, c.bias, false), of));
  };
  with(frozen, c.bias, {c.bias, c.x[0], c.x[1]});
  with(c.weight, still, {c.weight, c.x[0], c.x[1]});
  with(frozen, still, {c.x[0], c.x[1]});
}

TEST(StepLinear, UnderNoGrad) {
  const Case c(1);
  const at::NoGradGuard no_grad;
  const Tensor y = StepLinear(c.weight, c.bias)(c.x[0]);
  EXPECT_FALSE(y.requires_grad());
  EXPECT_TRUE(torch::equal(y, torch::linear(c.x[0], c.weight, c.bias)));
  EXPECT_TRUE(torch::allclose(StepLinear(c.weight, c.bias)(c.x[0], y), y + torch::mm(c.x[0], c.weight.t()), 0, 1e-14));
}

// Each pass starts from nothing: passes over two graphs, over one graph twice, and one that asks for the inputs alone.
TEST(StepLinear, PassesAreIndependent) {
  const Case c(3);
  const auto expected = Gradients(Walk(Plain(c.weight, c.bias), c, c.bias, true), c.Leaves());
  const StepLinear first(c.weight, c.bias), second(c.weight, c.bias);
  const Tensor a = Walk(first, c, c.bias, true), b = Walk(second, c, c.bias, true);
  ExpectEqual(Gradients(b, c.Leaves()), expected);
  Gradients(a, {c.x[0]}, /*keep=*/true);
  ExpectEqual(Gradients(a, c.Leaves(), /*keep=*/true), expected);
  ExpectEqual(Gradients(a, c.Leaves()), expected);
}

TEST(StepLinear, GradientsCannotBeDifferentiatedAgain) {
  const Case c(1);
  const Tensor y = StepLinear(c.weight, c.bias)(c.x[0]);
  EXPECT_THROW(torch::autograd::grad({(y * y).sum()}, {c.weight}, {}, true, true), c10::Error);
}

}  // namespace
}  // namespace attend::ops
