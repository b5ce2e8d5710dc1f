#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include "attend/ops/attention.h"

namespace attend::ops {

// Attention of one query a call over keys and values that a loop over time reads at every step. Backward, each step passes on the gradient
// of its query at once but only notes what belongs to the keys, the values and the param, and when the last one is done a single pass over
// all steps gives their gradients: no gradient of the keys' size a step, and no sum of them.
//
// Make one per forward pass, outside the loop. Not thread-safe.
class StepAttention {
 public:
  // args: those of every step, but for query_offset.
  StepAttention(const PreparedKey& key, const at::Tensor& value, const AttentionArgs& args);

  // Can such steps wait for each other? Those of fused softmax in single precision that give their output alone, and read what a gradient
  // goes to.
  static bool Serves(const PreparedKey& key, const at::Tensor& value, const AttentionArgs& args);
  // Does it read this key and value?
  bool Reads(const PreparedKey& key, const at::Tensor& value) const { return key_.key.is_same(key.key) && value_.is_same(value); }

  // query (B, Hq, 1, D) at a position -> output (B, Hq, 1, Dv).
  at::Tensor operator()(const at::Tensor& query, int64_t position) const;

 private:
  PreparedKey key_;
  at::Tensor value_;
  at::Tensor anchor_;  // an empty tensor between the steps and what they read in the graph
  c10::intrusive_ptr<torch::CustomClassHolder> steps_;
};

}  // namespace attend::ops
