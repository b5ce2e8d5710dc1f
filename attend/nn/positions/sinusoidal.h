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

// p_t[2l] = sin(t / 10000^(2l/d)), p_t[2l+1] = cos(t / 10000^(2l/d)) (Vaswani et al. 2017, section 3.5).
class sinusoidal : public Positions {
 public:
  explicit sinusoidal(const PositionSizes& sizes) : size_(sizes.size) {}

  at::Tensor Embedding(const Span& span, const at::TensorOptions& like) const override {
    // In double: sines of large single-precision angles would lose their digits.
    const auto exact = like.dtype(at::kDouble);
    const at::Tensor rates = at::exp(at::arange(0, size_, 2, exact) * (-std::log(10000.0) / static_cast<double>(size_)));
    const at::Tensor angles = at::outer(at::arange(span.first, span.first + span.tokens, exact), rates);  // (T, d / 2, rounded up)
    return at::stack({at::sin(angles), at::cos(angles)}, 2).flatten(1).slice(1, 0, size_).to(like.dtype());
  }

 private:
  int64_t size_;
};

inline std::shared_ptr<Positions> Make(const spec::SinusoidalPositions&, const PositionSizes& sizes) {
  return std::make_shared<sinusoidal>(sizes);
}

}  // namespace attend::nn::positions
