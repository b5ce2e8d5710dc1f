#pragma once

#include "attend/ops/composed_readout.h"

namespace attend::ops {

// o_i = sum_j w_ij v_j (Bahdanau et al. 2015, eq. 5)
template <>
struct ComposedReadout<OperatorReadout::soft> {
  static constexpr bool kChooses = false, kDraws = false, kTemperature = false;
  static Selection Forward(const ReadoutArgs& a) { return {a.weights, {}}; }
  static at::Tensor Backward(const ReadoutArgs&, const Selection&, const at::Tensor& grad_read) { return grad_read; }
};

}  // namespace attend::ops
