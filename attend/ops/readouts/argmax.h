#pragma once

#include "attend/ops/composed_readout.h"

namespace attend::ops {

// o_i = v_j of the most likely j, the first of equals.
template <>
struct ComposedReadout<OperatorReadout::argmax> {
  static constexpr bool kChooses = true, kDraws = false, kTemperature = false;
  static Selection Forward(const ReadoutArgs& a) {
    const at::Tensor index = a.index.defined() ? a.index : Largest(a.weights, a.weights);
    return {OneHot(index, a.weights), index};
  }
};

}  // namespace attend::ops
