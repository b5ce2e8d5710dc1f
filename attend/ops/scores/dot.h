#pragma once

#include <ATen/ops/bmm.h>

#include "attend/ops/composed_score.h"

namespace attend::ops {

// s_ij = q_i . k_j (Luong et al. 2015, section 3.1)
template <>
struct ComposedScore<spec::Score::dot> {
  static constexpr ScoreParameter kParameter = ScoreParameter::none;

  static at::Tensor Forward(const ScoreArgs& a) { return at::bmm(a.query, a.key.transpose(1, 2)); }

  static ScoreGradients Backward(const ScoreArgs& a, const at::Tensor& grad, ScoreNeeds needs) {
    ScoreGradients out;
    if (needs.query) out.query = at::bmm(grad, a.key);
    if (needs.key) out.key = at::bmm(grad.transpose(1, 2), a.query);
    return out;
  }
};

}  // namespace attend::ops
