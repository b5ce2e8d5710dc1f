#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace attend::ops {

// Says that the values of these weights stay as they are while this object lives. Outside of gradient mode, exact products with a
// frozen float matrix on the CPU read a copy of it laid out for them (kernels/linear.h), made at the first product: faster, and each
// row of a result has the same bits alone and in any batch. Process-wide and thread-safe.
class FrozenWeights {
 public:
  explicit FrozenWeights(const std::vector<at::Tensor>& weights);
  ~FrozenWeights();
  FrozenWeights(const FrozenWeights&) = delete;
  FrozenWeights& operator=(const FrozenWeights&) = delete;

 private:
  std::vector<at::Tensor> weights_;
};

// out (M, N) = addend (M, N) or (N) or undefined + x (M, K) weightᵀ, weight (N, K), when `weight` is frozen and no gradient is recorded;
// otherwise nothing is done and false returned.
bool AddFrozenLinear(const at::Tensor& out, const at::Tensor& addend, const at::Tensor& x, const at::Tensor& weight);

// Whether AddFrozenLinear would do it.
bool Frozen(const at::Tensor& weight);

}  // namespace attend::ops
