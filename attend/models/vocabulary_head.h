#pragma once

#include <memory>

#include "attend/nn/basic.h"
#include "attend/ops/cross_entropy.h"

namespace attend::models {

// Predicts one id of a vocabulary from a state.
class VocabularyHead : public nn::Module {
 public:
  // tied: (vocabulary, size) of an embedding, or undefined for a matrix of its own. When its size is not `inputs`, a linear layer
  // stands between.
  VocabularyHead(int64_t inputs, int64_t vocabulary, const at::Tensor& tied);

  // One loss per token: states (M, inputs), targets (M) int64.
  ops::CrossEntropyResult Loss(const at::Tensor& states, const at::Tensor& targets, double smoothing) const;
  at::Tensor Logits(const at::Tensor& states) const;  // (..., vocabulary)

 private:
  at::Tensor weight_, bias_;
  std::shared_ptr<nn::Linear> project_;
};

}  // namespace attend::models
