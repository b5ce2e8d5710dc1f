#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/zeros_like.h>

#include "attend/ops/composed_normaliser.h"

namespace attend::ops {

// w = max(s - tau, 0) with tau such that the weights sum to 1: the projection of s on the simplex (Martins and Astudillo 2016,
// algorithm 1).
template <>
struct ComposedNormaliser<spec::Normaliser::sparsemax> {
  static Normalised Forward(const at::Tensor& scores, bool, bool) {
    if (scores.size(-1) == 0) return {at::zeros_like(scores), {}};
    const at::Tensor most = scores.amax(-1, /*keepdim=*/true);
    const at::Tensor blind = most.isinf();  // sees no key
    const at::Tensor s = scores - most.masked_fill(blind, 0);
    const at::Tensor sorted = std::get<0>(at::sort(s, -1, /*descending=*/true));
    const at::Tensor sums = at::cumsum(sorted, -1), count = at::arange(1, s.size(-1) + 1, s.options());
    const at::Tensor size = (sorted * count + 1).gt(sums).sum(-1, /*keepdim=*/true).clamp_min_(1);  // of the support
    const at::Tensor tau = (sums.gather(-1, size - 1) - 1) / size.to(s.scalar_type());
    return {(s - tau).clamp_min_(0).masked_fill_(blind, 0), {}};
  }

  // ds_j = dw_j - the mean of dw over the support, for j in the support (Martins and Astudillo 2016, eq. 14).
  static at::Tensor Backward(const at::Tensor& weights, const at::Tensor& grad_weights, const at::Tensor&) {
    const at::Tensor support = weights.gt(0).to(weights.scalar_type());
    const at::Tensor grad = grad_weights * support;
    return grad - support * (grad.sum(-1, true) / support.sum(-1, true).clamp_min_(1));
  }
};

}  // namespace attend::ops
