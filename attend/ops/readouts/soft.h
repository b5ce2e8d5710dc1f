#pragma once

#include <ATen/ops/bmm.h>

#include "attend/ops/composed_readout.h"

namespace attend::ops {

// o_i = sum_j w_ij v_j (Bahdanau et al. 2015, eq. 5)
template <>
struct ComposedReadout<spec::Readout::soft> {
  static at::Tensor Forward(const at::Tensor& weights, const at::Tensor& value) { return at::bmm(weights, value); }
  static at::Tensor BackwardWeights(const at::Tensor& grad_output, const at::Tensor& value) {
    return at::bmm(grad_output, value.transpose(1, 2));
  }
  static at::Tensor BackwardValue(const at::Tensor& grad_output, const at::Tensor& weights) {
    return at::bmm(weights.transpose(1, 2), grad_output);
  }
};

}  // namespace attend::ops
