#pragma once

#include <ATen/core/Tensor.h>

namespace attend::ops {

// Projection to the classes and cross-entropy with label smoothing in one: the (M, V) logits are made once, turned into their own
// gradient in place, and nothing else of that size exists.
//   states (M, D), weight (V, D), bias (V) or undefined, target (M) int64, smoothing s in [0, 1)
// Returns loss (M), differentiable, and nll (M), the negative log-likelihood without smoothing, for reporting.
struct CrossEntropyResult {
  at::Tensor loss, nll;
};
CrossEntropyResult LinearCrossEntropy(const at::Tensor& states, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& target,
                                      double smoothing);

}  // namespace attend::ops
