#pragma once

#include <memory>

#include "attend/data/batch.h"
#include "attend/models/options.h"
#include "attend/models/vocabulary_head.h"
#include "attend/nn/decoder.h"
#include "attend/search/decoder.h"

namespace attend::models {

// What a model must know of the vocabularies.
struct VocabularySizes {
  int64_t source = 0, target = 0;
  int32_t padding = 0, start = 0;
  bool shared = false;  // one vocabulary for both sides
};

// How the loss is made.
struct LossOptions {
  double smoothing = 0;         // label smoothing
  double guided_alignment = 0;  // weight of the cross-entropy between given alignments and attention (Chen et al. 2016)
  double coverage = 0;          // weight of the loss for attending to the same place again (See et al. 2017)
};

// Sums over the tokens of a batch (or of a slice of it).
struct LossSum {
  at::Tensor total;  // (): what is differentiated, to be divided by the number of tokens
  double nll = 0;    // negative log-likelihood, nats, without smoothing or auxiliary losses
  double loss = 0;   // with smoothing, without auxiliary losses
  int64_t tokens = 0;
};

// The longest sequences that a model can take, in tokens with the start or end symbol: some mechanisms know only so many positions.
struct Longest {
  int64_t source = nn::kAnyLength, target = nn::kAnyLength;
};

// A model that turns a source sequence into a target sequence: an encoder, a decoder, a head over the target vocabulary; or, without an
// encoder, one that goes on with a text. Batches hold the fields "source" and "target", both ending with the end symbol, and optionally
// "alignment" (B, T, S); without an encoder "target" and optionally "before" (B, 1), the token before the first, the start symbol unless
// given, and "skip" (B, 1), how many of the first tokens have no loss.
class SequenceModel : public nn::Module {
 public:
  // UserError when the options do not fit together.
  SequenceModel(const ModelOptions& options, const VocabularySizes& sizes);

  Longest longest() const;

  // carried: of models without an encoder, see nn::SequenceDecoder.
  LossSum Loss(const data::Batch& batch, const LossOptions& options, nn::Context& context, nn::Carried* carried = nullptr) const;

  // What the source's positions attend to among themselves, for an encoder that attends: maps of all of batch, in use.
  struct SourceMap {
    std::string path;
    int64_t heads = 0, columns = 0;
    std::vector<float> weights;  // (rows, heads, columns, columns); 0 beyond a row's length
  };
  std::vector<SourceMap> SourceMaps(const data::Batch& batch, at::Device device) const;

  // The rows of batch ("source" alone is read; without an encoder, the number of its examples) as search knows them. The model must
  // outlive it.
  std::unique_ptr<search::Decoder> Decode(const data::Batch& batch, at::Device device) const;

 private:
  class Rows;
  nn::Memory Encode(const data::Batch& batch, nn::Context& context) const;

  VocabularySizes sizes_;
  std::shared_ptr<nn::Encoder> encoder_;  // null: a language model
  std::shared_ptr<nn::SequenceDecoder> decoder_;
  std::shared_ptr<VocabularyHead> head_;
};

}  // namespace attend::models
