#pragma once

#include <ATen/TensorOperators.h>

#include "attend/nn/given_score.h"

namespace attend::nn::scores {

// s_ij = w^T [q_i; k_j] = w_q q_i + w_k k_j, one w a head: a column and a row. Under a softmax the column cancels, so that every query
// has the same weights.
class linear : public GivenScore {
 public:
  linear(const spec::AttentionSpec& spec, int64_t query_size, int64_t memory_size) : GivenScore(query_size, spec.heads) {
    key_ = register_module("key", std::make_shared<Linear>(memory_size, spec.heads, false));
  }
  at::Tensor OfKeys(const at::Tensor& states) const override { return key_->Forward(states).transpose(1, 2).unsqueeze(2); }
  at::Tensor Scores(const at::Tensor& projected, const at::Tensor& of_keys, int64_t) const override {
    return projected.transpose(1, 2).unsqueeze(3) + of_keys;
  }

 private:
  std::shared_ptr<Linear> key_;
};

}  // namespace attend::nn::scores

namespace attend::nn {

template <>
struct LayerScore<spec::Score::linear> {
  using Type = scores::linear;
};

}  // namespace attend::nn
