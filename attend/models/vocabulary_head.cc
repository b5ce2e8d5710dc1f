#include "attend/models/vocabulary_head.h"

#include "attend/ops/products.h"

namespace attend::models {

using at::Tensor;

VocabularyHead::VocabularyHead(int64_t inputs, int64_t vocabulary, const Tensor& tied) {
  if (tied.defined()) {
    weight_ = tied;
    if (tied.size(1) != inputs) project_ = register_module("project", std::make_shared<nn::Linear>(inputs, tied.size(1)));
  } else {
    weight_ = AddParameter("weight", {vocabulary, inputs}, nn::Init::Xavier());
  }
  bias_ = AddParameter("bias", {vocabulary}, nn::Init::Zeros());
}

ops::CrossEntropyResult VocabularyHead::Loss(const Tensor& states, const Tensor& targets, double smoothing) const {
  return ops::LinearCrossEntropy(project_ ? project_->Forward(states) : states, weight_, bias_, targets, smoothing);
}

Tensor VocabularyHead::Logits(const Tensor& states) const {
  return ops::Linear(project_ ? project_->Forward(states) : states, weight_, bias_);
}

}  // namespace attend::models
