#pragma once

#include <memory>

#include "attend/nn/encoder.h"
#include "attend/nn/transformer.h"

namespace attend::nn {

// The summary is the mean of the states.
class TransformerEncoder : public Encoder {
 public:
  TransformerEncoder(const TransformerEncoderOptions& options, int64_t vocabulary, int64_t padding);

  Memory Forward(const at::Tensor& ids, const at::Tensor& lengths, Context& context) const override;
  int64_t size() const override { return stack_->size(); }
  int64_t longest() const override { return stack_->longest(); }
  const Embedding& embedding() const override { return stack_->embedding(); }
  void TieEmbedding(const Embedding& other) override { stack_->embedding().Tie(other); }

 private:
  std::unique_ptr<TransformerStack> stack_;
};

}  // namespace attend::nn
