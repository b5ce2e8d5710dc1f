#pragma once

#include <ATen/core/Tensor.h>

#include "attend/spec/mechanisms.h"

namespace attend::ops {

// The composed formula of one readout: file ops/readouts/<name>.h specialises it, for weights (R, N, Tk) after dropout and values
// (R, Tk, Dv), with
//   static at::Tensor Forward(const at::Tensor& weights, const at::Tensor& value);                              // (R, N, Dv)
//   static at::Tensor BackwardWeights(const at::Tensor& grad_output, const at::Tensor& value);                  // (R, N, Tk)
//   static at::Tensor BackwardValue(const at::Tensor& grad_output, const at::Tensor& weights);                  // (R, Tk, Dv)
template <spec::Readout readout>
struct ComposedReadout;

}  // namespace attend::ops
