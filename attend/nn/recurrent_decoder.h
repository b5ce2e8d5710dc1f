#pragma once

#include <memory>

#include "attend/nn/decoder.h"
#include "attend/nn/fusion.h"
#include "attend/nn/recurrent_options.h"

namespace attend::nn {

// A recurrent decoder with attention over the memory, taken in as its fusion says. The state starts from the memory's summary:
// s_0 = tanh(W summary + b) in every layer (Bahdanau et al. 2015, appendix A.2.2). Without a memory it is a language model, whose state
// starts from 0 and whose attention is over its own states before, s_1 ... s_{t-1} (Daniluk et al. 2017; Salton et al. 2017).
class RecurrentDecoder : public SequenceDecoder {
 public:
  // memory_size: of the encoder's states; 0: there is no encoder.
  RecurrentDecoder(const RecurrentDecoderOptions& options, int64_t memory_size, int64_t vocabulary, int64_t padding);

  at::Tensor Forward(const Memory& memory, const at::Tensor& inputs, Context& context, Carried* carried = nullptr) const override;
  std::unique_ptr<DecoderRows> Start(const Memory& memory, Context& context) const override;
  int64_t output_size() const override { return fusion_->output_size(); }
  int64_t longest() const override { return over_past() ? attention_->longest() : kAnyLength; }
  int64_t longest_memory() const override { return attention_ && bridge_ ? attention_->longest() : kAnyLength; }
  const Embedding& embedding() const override { return *embedding_; }

 private:
  class Rows;
  DecoderState Initial(const Memory& memory) const;
  bool over_past() const { return attention_ && !bridge_; }
  AttentionPass Pass() const;
  AttentionMemory NoPast(int64_t rows) const;

  RecurrentDecoderOptions options_;
  std::shared_ptr<Embedding> embedding_;
  std::shared_ptr<CellStack> cells_;
  std::shared_ptr<Attention> attention_;  // null when the fusion takes none
  std::shared_ptr<Fusion> fusion_;
  std::shared_ptr<Linear> bridge_;  // (memory) -> h and, for cells with memory, c of every layer; null without a memory
};

}  // namespace attend::nn
