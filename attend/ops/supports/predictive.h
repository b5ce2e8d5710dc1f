#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/le.h>

#include "attend/ops/composed_support.h"
#include "attend/spec/supports.h"

namespace attend::ops {

// |j - p_i| <= D for a centre p_i, and weights times exp(-(j - p_i)^2 / (2 (D/2)^2)) (Luong et al. 2015, eq. 9 and 10). The edge of the
// window has no gradient; the Gaussian has one.
template <>
struct ComposedSupport<spec::PredictiveSupport> {
  static constexpr bool kSeesGlobalKeys = false;

  static bool Asked(const Call& c) { return c.centers.defined(); }

  static at::Tensor Visible(const Call& c, Positions& at) { return Distance(c, at).abs().le(*c.half_width); }

  // What the weights (B, Hq, Tq, Tk) are multiplied by.
  static at::Tensor Factors(const Call& c, Positions& at, at::ScalarType type) {
    return Distance(c, at).square().mul_(-2 / (*c.half_width * *c.half_width)).exp_().to(type);
  }
  // Of the centres (B, Hq, Tq), from the gradient of the factors and the factors: d exp(-2 x^2 / D^2) / dp = 4 x / D^2 exp(...).
  static at::Tensor CentersBackward(const Call& c, Positions& at, const at::Tensor& factors, const at::Tensor& grad_factors) {
    return (Distance(c, at).masked_fill_(factors.eq(0), 0) * factors * grad_factors).sum(-1).mul_(4 / (*c.half_width * *c.half_width));
  }

 private:
  static at::Tensor Distance(const Call& c, Positions& at) {  // j - p_i, (B, Hq, Tq, Tk)
    const at::ScalarType exact = c.centers.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    return at.Key().to(exact) - c.centers.to(exact).unsqueeze(-1);
  }
};

}  // namespace attend::ops
