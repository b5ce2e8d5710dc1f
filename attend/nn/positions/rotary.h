#pragma once

#include <ATen/ops/arange.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/stack.h>

#include <cmath>

#include "attend/nn/positions.h"

namespace attend::nn::positions {

// Features 2l and 2l + 1 of a query or key at position t are turned by the angle t base^(-2l/D), so that a product of both depends on the
// distance alone (Su et al. 2021, eq. 34).
class rotary : public Positions {
 public:
  explicit rotary(const spec::RotaryPositions& options) : base_(options.base) {}

  std::unique_ptr<Places> At(const Span& span, const at::TensorOptions&) const override { return std::make_unique<Turning>(base_, span); }

 private:
  class Turning : public Places {
   public:
    Turning(double base, const Span& span) : base_(base), span_(span) {}

    at::Tensor Turn(const at::Tensor& x) const override {
      const int64_t width = x.size(3);
      if (!cos_.defined() || 2 * cos_.size(1) != width || cos_.scalar_type() != x.scalar_type()) {
        const auto exact = x.options().dtype(at::kDouble).requires_grad(false);
        const at::Tensor rates = at::exp(at::arange(0, width, 2, exact) * (-std::log(base_) / static_cast<double>(width)));
        const at::Tensor angles = at::outer(at::arange(span_.first, span_.first + span_.tokens, exact), rates);  // (T, D / 2)
        cos_ = at::cos(angles).to(x.scalar_type());
        sin_ = at::sin(angles).to(x.scalar_type());
      }
      const at::Tensor even = x.slice(3, 0, width, 2), odd = x.slice(3, 1, width, 2);
      return at::stack({even * cos_ - odd * sin_, even * sin_ + odd * cos_}, 4).flatten(3);
    }

   private:
    double base_;
    Span span_;
    mutable at::Tensor cos_, sin_;  // (T, D / 2) for the width that was turned last
  };

  double base_;
};

inline std::shared_ptr<Positions> Make(const spec::RotaryPositions& o, const PositionSizes&) { return std::make_shared<rotary>(o); }

}  // namespace attend::nn::positions
