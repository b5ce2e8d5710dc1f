#pragma once

#include <ATen/TensorOperators.h>

#include <cmath>

#include "attend/ops/scores/dot.h"

namespace attend::ops {

// s_ij = scale q_i . k_j, scale = 1/sqrt(D) unless given (Vaswani et al. 2017, eq. 1)
template <>
struct ComposedScore<spec::Score::scaled_dot> {
  using Dot = ComposedScore<spec::Score::dot>;
  static constexpr ScoreParameter kParameter = ScoreParameter::none;

  static double Scale(const ScoreArgs& a) {
    if (a.scale) return *a.scale;
    return 1 / std::sqrt(static_cast<double>(std::max<int64_t>(a.query.size(2), 1)));
  }

  static at::Tensor Forward(const ScoreArgs& a) { return Dot::Forward(a).mul_(Scale(a)); }

  static ScoreGradients Backward(const ScoreArgs& a, const at::Tensor& grad, ScoreNeeds needs) {
    return Dot::Backward(a, grad * Scale(a), needs);
  }
};

}  // namespace attend::ops
