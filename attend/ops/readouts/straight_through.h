#pragma once

#include "attend/ops/readouts/sample.h"

namespace attend::ops {

// Forward one position as `sample` has it; backward as if the weights themselves had been read (Bengio et al. 2013, section 4).
template <>
struct ComposedReadout<OperatorReadout::straight_through> {
  static constexpr bool kChooses = true, kDraws = true, kTemperature = false;
  static Selection Forward(const ReadoutArgs& a) { return ComposedReadout<OperatorReadout::sample>::Forward(a); }
  static at::Tensor Backward(const ReadoutArgs&, const Selection&, const at::Tensor& grad_read) { return grad_read; }
};

}  // namespace attend::ops
