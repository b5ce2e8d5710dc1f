#pragma once

#include <memory>

#include "attend/nn/decoder.h"
#include "attend/nn/transformer.h"

namespace attend::nn {

class TransformerDecoder : public SequenceDecoder {
 public:
  // memory_size: of the encoder's states; 0: there is no encoder.
  TransformerDecoder(const TransformerDecoderOptions& options, int64_t memory_size, int64_t vocabulary, int64_t padding);

  at::Tensor Forward(const Memory& memory, const at::Tensor& inputs, Context& context, Carried* carried = nullptr) const override;
  std::unique_ptr<DecoderRows> Start(const Memory& memory, Context& context) const override;
  int64_t output_size() const override { return stack_->size(); }
  int64_t longest() const override { return stack_->longest(); }
  int64_t longest_memory() const override { return stack_->longest_memory(); }
  const Embedding& embedding() const override { return stack_->embedding(); }

 private:
  class Rows;
  AttentionPass Cross(size_t layer) const;

  size_t alignment_layer_ = 0;
  int64_t alignment_head_ = -1;
  std::unique_ptr<TransformerStack> stack_;
};

}  // namespace attend::nn
