#include "attend/ops/cross_entropy.h"

#include <torch/torch.h>

#include <cmath>

#include "gtest/gtest.h"

namespace attend::ops {
namespace {

using at::Tensor;

// Both paths against log_softmax written out. Rounding: the logits' own (D products), exp to 2 ulp, a sum of V terms in vector lanes.
TEST(LinearCrossEntropy, EqualsItsDefinition) {
  for (at::ScalarType type : {at::kFloat, at::kDouble})
    for (int64_t rows : {0, 1, 37})
      for (int64_t classes : {1, 2, 17, 1000})
        for (double smoothing : {0.0, 0.1})
          for (bool biased : {false, true}) {
            torch::manual_seed(rows + classes);
            const auto leaf = [&](at::IntArrayRef shape) { return torch::randn(shape, type).requires_grad_(); };
            const Tensor states = leaf({rows, 5}), weight = leaf({classes, 5}), bias = biased ? leaf({classes}) : Tensor();
            const Tensor target = torch::randint(classes, {rows}, torch::kLong), g = torch::rand({rows}, type);
            std::vector<Tensor> leaves = {states, weight};
            if (biased) leaves.push_back(bias);
            const auto found = LinearCrossEntropy(states, weight, bias, target, smoothing);
            const auto gradients = torch::autograd::grad({(found.loss * g).sum()}, leaves);

            const auto wide = [](const Tensor& t) { return t.defined() ? t.detach().to(torch::kDouble).requires_grad_() : Tensor(); };
            const Tensor s = wide(states), w = wide(weight), b = wide(bias);
            const Tensor log_probs = torch::log_softmax(torch::linear(s, w, b), -1),
                         nll = -log_probs.gather(1, target.unsqueeze(1)).squeeze(1);
            const Tensor loss = (1 - smoothing) * nll - smoothing * log_probs.mean(-1);
            std::vector<Tensor> exact = {s, w};
            if (biased) exact.push_back(b);
            const auto expected = torch::autograd::grad({(loss * g.to(torch::kDouble)).sum()}, exact);

            const double tolerance = type == at::kFloat ? 1e-5 : 1e-12;
            EXPECT_TRUE(torch::allclose(found.loss.to(torch::kDouble), loss, tolerance, tolerance)) << rows << " " << classes;
            EXPECT_TRUE(torch::allclose(found.nll.to(torch::kDouble), nll, tolerance, tolerance));
            EXPECT_FALSE(found.nll.requires_grad());
            for (size_t i = 0; i < expected.size(); i++)
              EXPECT_TRUE(torch::allclose(gradients[i].to(torch::kDouble), expected[i], tolerance, 3 * tolerance))
                  << rows << " " << classes << " " << i;
          }
}

TEST(LinearCrossEntropy, OnlyTheWeightAsksForAGradient) {
  const Tensor states = torch::randn({4, 3}), weight = torch::randn({6, 3}).requires_grad_(),
               target = torch::tensor({0, 5, 2, 2}, torch::kLong);
  const auto ours = torch::autograd::grad({LinearCrossEntropy(states, weight, {}, target, 0).loss.sum()}, {weight})[0];
  const auto plain =
      torch::autograd::grad({torch::nn::functional::cross_entropy(torch::linear(states, weight), target,
                                                                  torch::nn::functional::CrossEntropyFuncOptions().reduction(torch::kSum))},
                            {weight})[0];
  EXPECT_TRUE(torch::allclose(ours, plain, 1e-5, 1e-6));
}

TEST(LinearCrossEntropy, OneBackwardPassOnly) {
  const Tensor states = torch::randn({4, 3}).requires_grad_(), weight = torch::randn({6, 3}).requires_grad_(),
               target = torch::zeros({4}, torch::kLong);
  const Tensor loss = LinearCrossEntropy(states, weight, {}, target, 0).loss.sum();
  torch::autograd::grad({loss}, {weight}, {}, /*retain_graph=*/true);
  try {
    torch::autograd::grad({loss}, {weight}, {}, /*retain_graph=*/true);
    FAIL() << "a second pass over overwritten logits";
  } catch (const c10::Error& e) {
    EXPECT_NE(std::string(e.what_without_backtrace()).find("[cross_entropy] expected one backward pass"), std::string::npos)
        << e.what_without_backtrace();
  }
  const Tensor again = LinearCrossEntropy(states, weight, {}, target, 0).loss.sum();
  EXPECT_THROW(torch::autograd::grad({again}, {weight}, {}, true, true), c10::Error);
}

TEST(LinearCrossEntropy, TargetsOutsideTheClassesAreRefused) {
  const Tensor states = torch::randn({2, 3}), weight = torch::randn({6, 3});
  for (int64_t bad : {int64_t{-1}, int64_t{6}, int64_t{1} << 40})
    EXPECT_THROW(LinearCrossEntropy(states, weight, {}, torch::tensor({int64_t{0}, bad}), 0), c10::Error) << bad;
  EXPECT_THROW(LinearCrossEntropy(states, weight, {}, torch::zeros({3}, torch::kLong), 0), c10::Error);
  EXPECT_THROW(LinearCrossEntropy(states, weight, {}, torch::zeros({2}), 0), c10::Error);
}

TEST(LinearCrossEntropy, NotANumberShows) {
  const Tensor states = torch::randn({2, 3}), weight = torch::randn({60, 3});
  states[1][2] = std::nan("");
  const auto found = LinearCrossEntropy(states, weight, {}, torch::zeros({2}, torch::kLong), 0.1);
  EXPECT_FALSE(std::isnan(found.loss[0].item<float>()));
  EXPECT_TRUE(std::isnan(found.loss[1].item<float>()));
}

}  // namespace
}  // namespace attend::ops
