#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "attend/data/plain_text.h"
#include "attend/data/token_stream.h"
#include "attend/metrics/perplexity.h"
#include "attend/models/sequence_model.h"
#include "attend/models/workers.h"
#include "attend/tasks/runtime.h"
#include "attend/text/tokenizer.h"

namespace attend::tasks {

// A text as tokens of a language model: the pieces of each line, and an end symbol for each line end.
data::TokenText Tokens(const data::PlainText& text, const text::Tokenizer& tokenizer);

// A language model between raw text and raw text: what training validates with and what a trained model is used by.
class Writer {
 public:
  // context: the most tokens that the model was trained to look back at; carries: its state goes on from piece to piece instead.
  Writer(std::shared_ptr<models::SequenceModel> model, std::shared_ptr<const text::Tokenizer> tokenizer, at::Device device, int64_t context,
         bool carries);

  models::SequenceModel& model() { return *model_; }
  const text::Tokenizer& tokenizer() const { return *tokenizer_; }
  bool carries() const { return carries_; }
  int64_t context() const { return context_; }

  // See Predictor. Attention looks back at most `context` tokens: when they are used up it goes on with the last half of them, and of a
  // model that carries a state begins anew. The result's pieces, maps and log-probabilities are those since it last went on with a half.
  Output Generate(const GenerateRequest& request, const std::function<void(std::string_view)>& write) const;

  // The end or the beginning of `text`, at most `tokens` tokens of it, as it would be read.
  std::string End(std::string_view text, int64_t tokens) const;
  std::string Beginning(std::string_view text, int64_t tokens) const;

  // How well each token is foretold by those before it. stride 0: the text in pieces of `context` tokens, each from its first token on, as
  // nanoGPT estimates its loss; above 0: windows of `context` tokens that move by `stride`, each counting its last `stride` tokens, so that
  // all but the first see at least context - stride tokens. A model that carries its state reads the text in `streams` parts side by side.
  metrics::LogLikelihood Evaluate(const data::TokenText& text, int64_t stride, int64_t streams, models::Workers& workers) const;

 private:
  std::string TextOf(std::span<const int32_t> ids) const;
  std::vector<data::Batch> Windows(const data::TokenText& text, int64_t stride, int64_t rows) const;

  std::shared_ptr<models::SequenceModel> model_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  at::Device device_;
  int64_t context_;
  bool carries_;
};

}  // namespace attend::tasks
