#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/zeros_like.h>

#include "attend/ops/composed_normaliser.h"

namespace attend::ops {

// w = max(s / 2 - tau, 0)^2 with tau such that the weights sum to 1, found exactly by sorting (Peters et al. 2019, algorithm 2).
template <>
struct ComposedNormaliser<spec::Normaliser::entmax15> {
  static Normalised Forward(const at::Tensor& scores, bool, bool) {
    if (scores.size(-1) == 0) return {at::zeros_like(scores), {}};
    const at::Tensor most = scores.amax(-1, /*keepdim=*/true);
    const at::Tensor blind = most.isinf();  // sees no key
    const at::Tensor z = (scores - most.masked_fill(blind, 0)).mul_(0.5);
    const at::Tensor sorted = std::get<0>(at::sort(z, -1, /*descending=*/true));
    const at::Tensor count = at::arange(1, z.size(-1) + 1, z.options());
    // tau for the k largest: mean - sqrt((1 - k variance) / k); the support is the largest k whose tau lies below its last element.
    const at::Tensor mean = at::cumsum(sorted, -1).div_(count), squares = at::cumsum(sorted.square(), -1).div_(count);
    const at::Tensor rest = (squares - mean.square()).mul_(count).neg_().add_(1).div_(count);
    const at::Tensor taus = mean - at::sqrt(rest.clamp_min(0));
    const at::Tensor size = taus.le(sorted).sum(-1, /*keepdim=*/true).clamp_min_(1);
    const at::Tensor tau = taus.gather(-1, size - 1);
    return {(z - tau).clamp_min_(0).square_().masked_fill_(blind, 0), {}};
  }

  // With g = sqrt(w): ds = g (dw - sum_l g_l dw_l / sum_l g_l) (Peters et al. 2019, proposition 2).
  static at::Tensor Backward(const at::Tensor& weights, const at::Tensor& grad_weights, const at::Tensor&) {
    if (weights.size(-1) == 0) return grad_weights;
    const at::Tensor g = at::sqrt(weights);
    const at::Tensor mean = (g * grad_weights).sum(-1, true) / g.sum(-1, true).masked_fill_(weights.amax(-1, true).eq(0), 1);
    return g * (grad_weights - mean);
  }
};

}  // namespace attend::ops
