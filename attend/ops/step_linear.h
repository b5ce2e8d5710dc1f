#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

namespace attend::ops {

// y = x Wᵀ + b for a weight that a loop over time uses at every step, laid out once for all of them (RepeatedLinear). Backward, each use
// passes on dx at once but only notes (x, dy), and when the last one is done a single product over all steps gives dW and db: one large
// matrix product instead of one small one per step, and no sum of T weight-sized gradients.
//
// Make one per forward pass, outside the loop. Not thread-safe.
class StepLinear {
 public:
  // weight (N, K), bias (N) or undefined.
  StepLinear(const at::Tensor& weight, const at::Tensor& bias);

  // x (B, K) -> (B, N); with addend (B, N): addend + x Wᵀ (the bias is then not added).
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& addend = {}) const;

 private:
  at::Tensor weight_, bias_;
  at::Tensor anchor_;  // an empty tensor between the uses and the weight in the graph
  c10::intrusive_ptr<torch::CustomClassHolder> uses_;
};

}  // namespace attend::ops
