#pragma once

#include <ATen/ops/abs.h>

#include "attend/ops/composed_score.h"

namespace attend::ops {

// s_ij = -sum_d |q_id - k_jd|: the example of "add a score" in CONTRIBUTING.md. Without a Backward it is differentiated by autograd.
template <>
struct ComposedScore<spec::Score::manhattan> {
  static constexpr ScoreParameter kParameter = ScoreParameter::none;

  static at::Tensor Forward(const ScoreArgs& a) {
    return (a.query.unsqueeze(2) - a.key.unsqueeze(1)).abs().sum(-1).neg();  // (R, N, Tk, D) -> (R, N, Tk)
  }
};

}  // namespace attend::ops
