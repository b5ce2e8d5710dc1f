#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "attend/nn/basic.h"
#include "attend/ops/attention.h"
#include "attend/ops/step_linear.h"
#include "attend/spec/attention_spec.h"

namespace attend::nn {

// What an attention layer computes once for all queries of a batch.
struct AttentionMemory {
  ops::PreparedKey key;  // (B, Hk, Tk, D)
  at::Tensor value;      // (B, Hk, Tk, Dv)
  at::Tensor lengths;    // (B) int64
  at::Tensor rows;       // (rows) int64: row of key and value that each query row reads; undefined: its own
};

// Attention of projected queries over a memory, for any AttentionSpec. Projections as the papers have them: `general` projects the
// query (q W, then a dot product), `additive` both sides (v tanh(W_q q + W_k k + b)); `dot` and `scaled_dot` compare as they are.
class Attention : public Module {
 public:
  // size: of projected queries and keys (additive). UserError when sizes do not fit the score or the heads.
  Attention(const spec::AttentionSpec& spec, int64_t query_size, int64_t memory_size, int64_t size);

  AttentionMemory Prepare(const at::Tensor& states, const at::Tensor& lengths) const;  // states (B, Tk, memory_size)

  // All queries at once: (B, Tq, query_size) -> context (B, Tq, context_size()). Records the map when the context asks for it.
  at::Tensor Forward(const at::Tensor& query, const AttentionMemory& memory, Context& context, int64_t first = 0) const;

  // One query a call, inside a loop over time. Make one per pass; Finish records the maps of the steps so far.
  class Loop {
   public:
    Loop(const Attention& layer, const AttentionMemory& memory, Context& context);
    at::Tensor Step(const at::Tensor& query, int64_t position);  // (B, query_size) -> (B, context_size())
    void Finish();

   private:
    const Attention& layer_;
    const AttentionMemory& memory_;
    Context& context_;
    std::optional<ops::StepLinear> query_;
    at::Tensor dropout_keys_;
    std::vector<at::Tensor> maps_;
  };

  int64_t context_size() const { return context_size_; }

 private:
  at::Tensor Heads(const at::Tensor& x, int64_t heads) const;
  ops::AttentionArgs Arguments(const AttentionMemory& memory, const Context& context, const at::Tensor& dropout_keys,
                               int64_t position) const;
  at::Tensor Recorded(const at::Tensor& weights, const Context& context) const;

  spec::AttentionSpec spec_;
  int64_t context_size_;
  std::string_view operator_score_;
  std::shared_ptr<Linear> query_, key_;
  at::Tensor vector_;  // v (heads, D)
};

}  // namespace attend::nn
