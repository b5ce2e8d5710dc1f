#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "attend/nn/basic.h"
#include "attend/nn/given_score.h"
#include "attend/nn/positions.h"
#include "attend/ops/attention.h"
#include "attend/ops/composed_score.h"
#include "attend/ops/step_attention.h"
#include "attend/ops/step_linear.h"
#include "attend/spec/attention_spec.h"

namespace attend::nn {

// What an attention layer computes once for all queries of a batch.
struct AttentionMemory {
  ops::PreparedKey key;  // (B, Hk, Tk, D); undefined where the layer makes the scores itself
  at::Tensor of_keys;    // (B, Hq, 1, Tk) what such scores know of the keys; may be undefined
  at::Tensor value;      // (B, Hk, Tk, Dv)
  at::Tensor lengths;    // (B) int64, or undefined: all keys
  at::Tensor rows;       // (rows) or (rows, Tk) int64: row of all of the above that each query row reads; undefined: its own

  int64_t keys() const { return value.size(2); }
  // The memory of the rows in `index`, and of them the first `keys` keys.
  AttentionMemory Select(const at::Tensor& index, int64_t keys) const;
  // These keys behind those of this memory, which may be empty (value undefined).
  void Append(const AttentionMemory& more);
  // Every tensor with a row a batch row, for selecting rows.
  void ForEach(const std::function<void(at::Tensor&)>& f);
};

// What attention carries from step to step, a row a query row.
struct AttentionState {
  at::Tensor coverage;  // (rows, Hq, Tk): the sum of the weights so far; undefined before the first step, and without coverage
};

// What a layer projects: what its score says, or all of queries, keys, values and what the heads have read.
enum class Projections { of_score, all };

// What a pass of attention is told besides its tensors.
struct AttentionPass {
  int64_t first = 0;               // position of the first query; in a loop, added to that of each
  const Places* places = nullptr;  // what queries and keys of one sequence know of positions
  MapKind kind = MapKind::cross;   // of the maps
  bool aligns = true;              // see RecordedMap; where only alignments are asked for, others record nothing
  int64_t head = -1;

  bool Records(const Context& context) const {
    return context.maps == search::Maps::all || (context.maps == search::Maps::summed && aligns);
  }
};

// Attention of projected queries over a memory, for any AttentionSpec. Projections as the papers have them: `general` projects the
// query (q W, then a dot product), `additive` and `concat` both sides; scores without projections compare as they are. With all projections
// it is multi-head attention, head_h = attention(q W_h^Q, k W_h^K, v W_h^V), (head_1 ... head_H) W^O (Vaswani et al. 2017, section 3.2.2):
// a score's own projections are then the heads', and scores that a layer makes itself read queries and keys as they are.
class Attention : public Module {
 public:
  // size: of projected queries, keys and values and of the layer that predicts centres. value_size: of what is read, memory_size unless
  // given. With all projections the result has query_size again. UserError when sizes do not fit the score or the heads.
  Attention(const spec::AttentionSpec& spec, int64_t query_size, int64_t memory_size, int64_t size, int64_t value_size = 0,
            Projections projections = Projections::of_score);

  // states (B, Tk, memory_size); values (B, Tk, value_size), the states unless given. places: of the states.
  AttentionMemory Prepare(const at::Tensor& states, const at::Tensor& lengths, const at::Tensor& values = {},
                          const Places* places = nullptr) const;

  // All queries at once: (B, Tq, query_size) -> context (B, Tq, context_size()). Records the map when the context asks for it.
  at::Tensor Forward(const at::Tensor& query, const AttentionMemory& memory, Context& context, const AttentionPass& pass = {}) const;

  // Prepare and Forward of one sequence over itself, x (B, T, query_size = memory_size).
  at::Tensor ForwardSelf(const at::Tensor& x, const at::Tensor& lengths, Context& context, const AttentionPass& pass) const;

  // One query a call, inside a loop over time. Make one per pass; Finish records the maps and choices of the steps so far.
  class Loop {
   public:
    // The arguments but the last outlive the loop; the memory may grow from step to step.
    Loop(const Attention& layer, const AttentionMemory& memory, AttentionState& state, Context& context, const AttentionPass& pass = {});
    at::Tensor Step(const at::Tensor& query, int64_t position);  // (B, query_size) -> (B, context_size())
    void Skip(const at::Tensor& query);                          // a step that finds no key yet
    // order (B, T): the step at which the walk came to each position, which the maps are put into; undefined: one after another.
    void Finish(const at::Tensor& order = {});

   private:
    const Attention& layer_;
    const AttentionMemory& memory_;
    AttentionState& state_;
    Context& context_;
    AttentionPass pass_;
    std::optional<ops::StepLinear> query_, center_;
    std::optional<ops::StepAttention> steps_;  // over a memory that stays
    at::Tensor keys_of_draws_;
    std::vector<at::Tensor> maps_, log_probs_, entropies_;
  };

  int64_t context_size() const { return context_size_; }
  int64_t longest() const { return given_ ? given_->longest() : kAnyLength; }  // memory
  bool Reinforces(const Context& context) const;                               // does a pass leave choices behind?

 private:
  // One call of the operator: query and centre as their projections (B, Tq, .).
  struct Call {
    at::Tensor query, center;
  };
  struct Result {
    at::Tensor context, weights, log_prob;  // (B, Tq, context size), (B, Hq, Tq, Tk) and (B, Hq, Tq) where asked for
  };
  // steps: those of a loop over a memory that stays, made by the first; null: a call for itself.
  Result Attend(const Call& call, const AttentionMemory& memory, const AttentionState& state, const Context& context,
                const at::Tensor& keys_of_draws, const AttentionPass& pass, std::optional<ops::StepAttention>* steps = nullptr) const;
  at::Tensor ForwardProjected(const Call& call, const AttentionMemory& memory, Context& context, const AttentionPass& pass) const;
  AttentionMemory PrepareProjected(const at::Tensor& states, const at::Tensor& key, const at::Tensor& value, const at::Tensor& lengths,
                                   const Places* places) const;

  at::Tensor Heads(const at::Tensor& x, int64_t heads) const;
  bool Draws(const Context& context) const;  // does a call need the keys of random draws?
  at::Tensor Recorded(const at::Tensor& weights, const Context& context, const AttentionPass& pass) const;
  at::Tensor Parameter(const at::TensorOptions& options) const;
  at::Tensor Centers(const at::Tensor& projected, const AttentionMemory& memory, int64_t first) const;

  spec::AttentionSpec spec_;
  int64_t context_size_, dim_ = 0;
  ops::ScoreLayer layer_;
  std::shared_ptr<Linear> query_, key_, value_, output_;
  std::shared_ptr<GivenScore> given_;
  at::Tensor vector_;     // v (heads, D)
  at::Tensor log_scale_;  // (heads): log of what the first scale is multiplied by
  double scale_ = 1;      // the first scale
  at::Tensor coverage_;   // (heads, D) inside the tanh of additive scores, (heads) beside the others
  std::shared_ptr<Linear> center_;
  at::Tensor center_vector_;  // (heads, size)
};

}  // namespace attend::nn
