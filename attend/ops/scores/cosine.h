#pragma once

#include <ATen/TensorOperators.h>

#include "attend/ops/scores/dot.h"

namespace attend::ops {

// s_ij = scale cos(q_i, k_j): the dot product of unit vectors (Graves et al. 2014, eq. 5 and 6). A zero vector has no direction: its cosine
// is 0, and so is its gradient.
template <>
struct ComposedScore<spec::Score::cosine> {
  using Dot = ComposedScore<spec::Score::dot>;
  static constexpr ScoreParameter kParameter = ScoreParameter::scale;

  // exp(10) between the nearest and a perpendicular key: sharp enough to choose one of hundreds.
  static double Scale(int64_t) { return 10; }

  static at::Tensor Forward(const ScoreArgs& a) { return Dot::Forward(Units(a).args).mul_(ScaleOfQueries(a)); }

  // With y = x / |x|: dx = (dy - y (y . dy)) / |x|.
  static ScoreGradients Backward(const ScoreArgs& a, const at::Tensor& grad, ScoreNeeds needs) {
    const Units units(a);
    const at::Tensor scaled = grad * ScaleOfQueries(a);
    ScoreGradients out = Dot::Backward(units.args, scaled, {needs.query, needs.key, false});
    const auto through = [](const at::Tensor& dy, const at::Tensor& y, const at::Tensor& inverse) {
      return (dy - y * (y * dy).sum(-1, true)).mul_(inverse);
    };
    if (needs.query) out.query = through(out.query, units.args.query, units.query);
    if (needs.key) out.key = through(out.key, units.args.key, units.key);
    if (needs.param) out.param = SumOfScale(a, (Dot::Forward(units.args) * grad).sum(-1));
    return out;
  }

 private:
  // Query and key as unit vectors, and what they were multiplied by (R, N, 1), (R, Tk, 1).
  struct Units {
    ScoreArgs args;
    at::Tensor query, key;
    explicit Units(const ScoreArgs& a) : args(a) {
      std::tie(args.query, query) = Unit(a.query);
      std::tie(args.key, key) = Unit(a.key);
    }
    // The largest component is taken out first, so that no square overflows or vanishes.
    static std::tuple<at::Tensor, at::Tensor> Unit(const at::Tensor& x) {
      if (x.size(-1) == 0) return {x, at::ones({x.size(0), x.size(1), 1}, x.options())};
      const at::Tensor most = x.abs().amax(-1, true);
      const at::Tensor zero = most.eq(0), divisor = most.masked_fill(zero, 1);
      const at::Tensor near = x / divisor, norm = near.square().sum(-1, true).sqrt_().masked_fill_(zero, 1);
      return {near / norm, (norm * divisor).reciprocal_().masked_fill_(zero, 0)};
    }
  };
};

}  // namespace attend::ops
