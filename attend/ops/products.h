#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "attend/ops/packed_weight.h"

namespace attend::ops {

// The matrix products of linear and recurrent layers, in one place, so that one setting serves them all.
enum class Products {
  exact,  // in the tensors' own precision
  bf16,   // of float tensors on a CPU: operands and result rounded to bfloat16, sums in single precision, as autocast has them
};

// Process-wide, like the number of threads: set before a model runs.
void UseProducts(Products products);

// What a product reads of x: x itself, or its bfloat16 copy. Differentiable. Make it once for an operand that serves many products.
at::Tensor Operand(const at::Tensor& x);

// Room for the product (M, outputs) of an operand x (M, K): float where operands are rounded.
at::Tensor ProductRoom(const at::Tensor& x, int64_t outputs);

// a (M, K) b (K, N) of operands -> (M, N), float where the operands were rounded. Records no gradient.
at::Tensor Product(const at::Tensor& a, const at::Tensor& b);

// out (M, N) = addend (M, N) or (N) or undefined + x (M, K) weightᵀ of operands, weight (N, K). Records no gradient.
void AddLinear(const at::Tensor& out, const at::Tensor& addend, const at::Tensor& x, const at::Tensor& weight);

// AddLinear for a weight that serves several products: laid out for them once, at the first.
class RepeatedLinear {
 public:
  explicit RepeatedLinear(const at::Tensor& weight) : weight_(weight) {}
  void Add(const at::Tensor& out, const at::Tensor& addend, const at::Tensor& x);

 private:
  at::Tensor weight_;
  std::shared_ptr<const PackedWeight> packed_;
};

// x (..., K), weight (N, K), bias (N) or undefined -> (..., N). Differentiable.
at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias = {});

}  // namespace attend::ops
