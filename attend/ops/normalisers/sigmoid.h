#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/sigmoid_backward.h>

#include <limits>

#include "attend/ops/composed_normaliser.h"

namespace attend::ops {

// w_j = sigmoid(s_j - log n) for n visible keys: each key for itself, and n equal scores of 0 weigh about 1 together
// (Ramapuram et al. 2024).
template <>
struct ComposedNormaliser<spec::Normaliser::sigmoid> {
  static Normalised Forward(const at::Tensor& scores, bool, bool) {
    const at::Tensor visible = scores.ne(-std::numeric_limits<double>::infinity()).sum(-1, /*keepdim=*/true).clamp_min_(1);
    return {at::sigmoid(scores - visible.to(scores.scalar_type()).log_()), {}};
  }

  static at::Tensor Backward(const at::Tensor& weights, const at::Tensor& grad_weights, const at::Tensor&) {
    return at::sigmoid_backward(grad_weights, weights);
  }
};

}  // namespace attend::ops
