#pragma once

#include <ATen/TensorOperators.h>

#include "attend/ops/composed_readout.h"

namespace attend::ops {

// o_i = v_j with probability w_ij, by the Gumbel-max trick: j = argmax_l log w_il + g_l. The choice has no gradient; its log-probability,
// which is a result, has (Xu et al. 2015, section 4.1).
template <>
struct ComposedReadout<OperatorReadout::sample> {
  static constexpr bool kChooses = true, kDraws = true, kTemperature = false;
  static Selection Forward(const ReadoutArgs& a) {
    const at::Tensor index = a.index.defined() ? a.index : Largest(a.weights.log().add_(a.noise), a.weights);
    return {OneHot(index, a.weights), index};
  }
};

}  // namespace attend::ops
