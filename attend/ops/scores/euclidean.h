#pragma once

#include <ATen/TensorOperators.h>

#include <cmath>

#include "attend/ops/scores/dot.h"

namespace attend::ops {

// s_ij = -scale |q_i - k_j|^2 = scale (2 q_i . k_j - |q_i|^2 - |k_j|^2): one matrix product, a column and a row (the RBF kernel of Tsai et
// al. 2019).
template <>
struct ComposedScore<spec::Score::euclidean> {
  using Dot = ComposedScore<spec::Score::dot>;
  static constexpr ScoreParameter kParameter = ScoreParameter::scale;

  // As scaled_dot has it: the product's factor is then 1 / sqrt(D).
  static double Scale(int64_t dim) { return 0.5 / std::sqrt(static_cast<double>(std::max<int64_t>(dim, 1))); }

  static at::Tensor Forward(const ScoreArgs& a) { return Distances(a).mul_(-ScaleOfQueries(a)); }

  // With t_ij = -2 scale ds_ij: dq_i = sum_j t_ij (q_i - k_j), dk_j = sum_i t_ij (k_j - q_i).
  static ScoreGradients Backward(const ScoreArgs& a, const at::Tensor& grad, ScoreNeeds needs) {
    const at::Tensor t = grad * (-2 * ScaleOfQueries(a));
    ScoreGradients out = Dot::Backward(a, t, {needs.query, needs.key, false});
    if (needs.query) out.query = a.query * t.sum(2, true) - out.query;
    if (needs.key) out.key = a.key * t.sum(1).unsqueeze(-1) - out.key;
    if (needs.param) out.param = SumOfScale(a, (Distances(a) * grad).sum(-1).neg_());
    return out;
  }

 private:
  static at::Tensor Distances(const ScoreArgs& a) {
    const at::Tensor column = a.query.square().sum(-1, true), row = a.key.square().sum(-1).unsqueeze(1);
    return Dot::Forward(a).mul_(-2).add_(column).add_(row).clamp_min_(0);
  }
};

}  // namespace attend::ops
