#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/_safe_softmax.h>
#include <ATen/ops/_softmax.h>
#include <ATen/ops/_softmax_backward_data.h>
#include <ATen/ops/logsumexp.h>

#include "attend/ops/composed_normaliser.h"

namespace attend::ops {

// w_j = exp(s_j) / sum_l exp(s_l) (Bahdanau et al. 2015, eq. 6); lse = log sum_l exp(s_l)
template <>
struct ComposedNormaliser<spec::Normaliser::softmax> {
  static Normalised Forward(const at::Tensor& scores, bool hidden, bool lse) {
    Normalised out;
    out.weights = hidden ? at::_safe_softmax(scores, -1) : at::_softmax(scores, -1, false);  // safe: a row of -inf gives 0
    if (lse) out.lse = at::logsumexp(scores, -1);
    return out;
  }

  // ds = w (dw - sum_l w_l dw_l) + w dlse
  static at::Tensor Backward(const at::Tensor& weights, const at::Tensor& grad_weights, const at::Tensor& grad_lse) {
    at::Tensor out;
    if (grad_weights.defined()) out = at::_softmax_backward_data(grad_weights, weights, -1, weights.scalar_type());
    if (grad_lse.defined()) out = out.defined() ? out.addcmul_(weights, grad_lse.unsqueeze(-1)) : weights * grad_lse.unsqueeze(-1);
    return out;
  }
};

}  // namespace attend::ops
