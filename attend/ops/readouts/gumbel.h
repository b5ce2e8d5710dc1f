#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/_safe_softmax.h>
#include <ATen/ops/_softmax_backward_data.h>

#include "attend/ops/readouts/sample.h"

namespace attend::ops {

// o_i = sum_j y_ij v_j with y_i = softmax((log w_i + g) / temperature) (Jang et al. 2017, eq. 2; Maddison et al. 2017); its largest y is
// the position that `sample` draws.
template <>
struct ComposedReadout<OperatorReadout::gumbel> {
  static constexpr bool kChooses = true, kDraws = true, kTemperature = true;
  static Selection Forward(const ReadoutArgs& a) {
    const at::Tensor perturbed = a.weights.log().add_(a.noise);
    const at::Tensor index = a.index.defined() ? a.index : Largest(perturbed, a.weights);
    return {at::_safe_softmax(perturbed.div_(a.temperature), -1), index};
  }
  // With z = log w / temperature + ...: dw = dz / (temperature w), and 0 where w is.
  static at::Tensor Backward(const ReadoutArgs& a, const Selection& s, const at::Tensor& grad_read) {
    const at::Tensor dz = at::_softmax_backward_data(grad_read, s.read, -1, s.read.scalar_type());
    return dz.div_(a.weights.masked_fill(a.weights.eq(0), 1)).div_(a.temperature);
  }
};

}  // namespace attend::ops
