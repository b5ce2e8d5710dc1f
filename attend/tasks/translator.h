#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attend/data/example.h"
#include "attend/models/sequence_model.h"
#include "attend/models/workers.h"
#include "attend/report/attention_map.h"
#include "attend/search/hypothesis.h"
#include "attend/tasks/options.h"
#include "attend/tasks/runtime.h"
#include "attend/text/tokenizers.h"

namespace attend::tasks {

// A sequence model between raw source text and raw target text: what training validates with and what a trained model is used by.
class Translator {
 public:
  Translator(std::shared_ptr<models::SequenceModel> model, text::Tokenizers tokenizers, at::Device device);

  models::SequenceModel& model() { return *model_; }
  const text::Tokenizers& tokenizers() const { return tokenizers_; }

  // Source and target as fields of a batch; rate: of subword regularisation (training only).
  std::vector<data::Side> Sides(double rate = 0) const;
  search::Symbols Symbols() const;
  // The most tokens of a line that the model can take on either side, without start and end symbol.
  models::Longest Longest() const;

  // See Predictor. Batches are shared among the workers; no result depends on how. Of a source that is longer than the model can take the
  // beginning is read, which a notice says; UserError for such a reference.
  std::vector<std::vector<Output>> Translate(std::span<const std::string> lines, const PredictRequest& request, models::Workers& workers,
                                             std::vector<std::string>& notices) const;
  std::vector<Output> Score(std::span<const std::string> lines, std::span<const std::string> references, bool alignments, bool maps,
                            models::Workers& workers) const;

 private:
  // What is remembered of an input line while it is decoded.
  struct Source {
    text::Encoding encoding;          // as much of it as the model can take
    int64_t tokens = 0;               // before it was cut
    std::vector<std::string> pieces;  // and the end symbol
    std::vector<int32_t> words;
    std::vector<report::AttentionMap> maps;  // of the encoder's own attention
  };
  Source ReadSource(const std::string& line) const;
  Output Write(const search::Hypothesis& hypothesis, const Source& source, const std::string& line, bool replace_unknown, bool alignments,
               bool maps) const;
  // The encoder's maps of these lines, which are the batch's rows.
  void AddSourceMaps(std::vector<Source>& sources, std::span<const int64_t> lines, const data::Batch& batch) const;
  data::Batch MakeBatch(const std::vector<Source>& sources, std::span<const int64_t> lines) const;

  std::shared_ptr<models::SequenceModel> model_;
  text::Tokenizers tokenizers_;
  at::Device device_;
};

}  // namespace attend::tasks
