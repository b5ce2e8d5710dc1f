#pragma once

#include <memory>
#include <string_view>

#include "attend/nn/attention.h"
#include "attend/ops/cells.h"
#include "attend/spec/intras.h"

namespace attend::nn {

using ops::CellState;

// What a recurrent layer carries from step to step, a row a batch row: the cell's state and what it remembers of its own past.
struct RecurrentState : CellState {
  AttentionMemory past;  // empty before the first step
  AttentionState attention;
  at::Tensor summary;  // (B, H): the last summary of the past

  RecurrentState() = default;
  RecurrentState(CellState state) : CellState(std::move(state)) {}
  void ForEach(const std::function<void(at::Tensor&)>& f);
};

// One step of a layer as its attention over its own past sees it.
struct IntraStep {
  at::Tensor x;          // (B, inputs): what the cell reads
  int64_t position = 0;  // steps before this one
};

struct IntraSizes {
  int64_t inputs, state;
  bool memory;  // does the cell carry a second state?
};

// How a cell attends over its own past: one file each, nn/intras/<name>.h, with a class of that name and one line in spec/intras.def.
class Intra : public Module {
 public:
  // One walk over time.
  class Loop {
   public:
    virtual ~Loop() = default;
    // What the cell's step starts from, instead of the state.
    virtual CellState Before(const IntraStep& step, RecurrentState& state) = 0;
    // What the cell's new state becomes; remembers it.
    virtual CellState After(const IntraStep& step, RecurrentState& state, const CellState& after) = 0;
    virtual void Finish(const at::Tensor& order) = 0;  // see Attention::Loop
  };
  virtual std::unique_ptr<Loop> Start(Context& context, MapKind kind) const = 0;
};

// What the ways share: one attention layer over a past that grows by a key a step, and a projection of what it reads where that has not the
// size that is needed.
class PastAttention : public Module {
 public:
  PastAttention(const spec::AttentionSpec& spec, int64_t query_size, int64_t key_size, int64_t size, int64_t value_size, int64_t needed);

  // key (B, key_size) and value (B, value_size; the key unless given) behind those of the state's past.
  void Remember(RecurrentState& state, const at::Tensor& key, const at::Tensor& value = {}) const;

  class Loop {
   public:
    Loop(const PastAttention& layer, Context& context, MapKind kind);
    at::Tensor Read(const at::Tensor& query, int64_t position, RecurrentState& state);  // (B, query_size) -> (B, needed)
    void Skip(const at::Tensor& query) { loop_.Skip(query); }
    void Finish(const at::Tensor& order) { loop_.Finish(order); }

   private:
    const PastAttention& layer_;
    AttentionMemory past_;
    AttentionState attention_;
    Attention::Loop loop_;
  };

 private:
  std::shared_ptr<Attention> attention_;
  std::shared_ptr<Linear> read_;
};

// Null for `none`.
std::shared_ptr<Intra> MakeIntra(const spec::Intra& options, const IntraSizes& sizes);

}  // namespace attend::nn
