#pragma once

#include <memory>
#include <vector>

#include "attend/nn/encoder.h"
#include "attend/nn/recurrent.h"
#include "attend/nn/recurrent_options.h"

namespace attend::nn {

// Embeddings and stacked recurrent layers (Cho et al. 2014), in both directions (Schuster and Paliwal 1997) by default. The summary
// is the last state of each direction of the top layer.
class RecurrentEncoder : public Encoder {
 public:
  RecurrentEncoder(const RecurrentEncoderOptions& options, int64_t vocabulary, int64_t padding);
  Memory Forward(const at::Tensor& ids, const at::Tensor& lengths, Context& context) const override;
  int64_t size() const override { return options_.size * (options_.bidirectional ? 2 : 1); }
  const Embedding& embedding() const override { return *embedding_; }
  void TieEmbedding(const Embedding& other) override { embedding_->Tie(other); }

 private:
  RecurrentEncoderOptions options_;
  std::shared_ptr<Embedding> embedding_;
  std::vector<std::shared_ptr<Recurrent>> forward_, backward_;
};

}  // namespace attend::nn
