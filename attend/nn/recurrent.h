#pragma once

#include <optional>

#include "attend/nn/basic.h"
#include "attend/nn/intra.h"
#include "attend/ops/cells.h"
#include "attend/ops/step_linear.h"

namespace attend::nn {

// One layer of a recurrent cell: weights in PyTorch's layout and gate order; it may attend over its own past.
class Recurrent : public Module {
 public:
  Recurrent(spec::Cell cell, int64_t inputs, int64_t size, bool layer_norm, const spec::Intra& intra = {});

  // The input's part of the gates, for any number of steps at once: (..., inputs) -> (..., G size).
  at::Tensor Inputs(const at::Tensor& x) const;

  // Over a whole sequence: x (T, B, inputs) with gates = Inputs(x) (T, B, G size) -> states (T, B, size), which beyond a row's length
  // repeat its last state (reverse: its first). Updates the state, whose past begins anew. lengths (B) int64 or undefined; reverse: from
  // the last step to the first, each row from its own last step. kind: of the maps of attention over the past.
  at::Tensor Run(const at::Tensor& x, const at::Tensor& gates, RecurrentState& state, const at::Tensor& lengths, bool reverse,
                 Context& context, MapKind kind) const;

  // A loop whose input is known one step at a time. Make one per pass.
  class Loop {
   public:
    Loop(const Recurrent& layer, Context& context, MapKind kind);

    // A whole step: gates = Inputs(x) of it (B, G size), from step.x through Project or with more added. active (B) bool, or undefined:
    // the others keep their state. Returns the new h.
    const at::Tensor& Step(const at::Tensor& gates, const IntraStep& step, RecurrentState& state, const at::Tensor& active = {});

    // The same in parts, for who has something to do in between: what the cell starts from, the cell, what is carried on.
    CellState Start(const IntraStep& step, RecurrentState& state);
    CellState Cell(const at::Tensor& gates, const CellState& state, const at::Tensor& active = {}) const;
    void Carry(const IntraStep& step, const CellState& now, RecurrentState& state);

    at::Tensor Project(const at::Tensor& x) const;
    void Finish(const at::Tensor& order = {});  // see Attention::Loop

   private:
    const Recurrent& layer_;
    ops::StepLinear recurrent_;
    mutable std::optional<ops::StepLinear> input_;
    std::unique_ptr<Intra::Loop> intra_;
  };

  CellState Zero(int64_t rows) const;
  spec::Cell cell() const { return cell_; }
  int64_t size() const { return size_; }
  bool attends() const { return intra_ != nullptr; }

 private:
  at::Tensor Recur(const at::Tensor& u) const;

  spec::Cell cell_;
  int64_t size_;
  at::Tensor weight_ih_, weight_hh_, bias_ih_, bias_hh_;
  std::shared_ptr<LayerNorm> input_norm_, recurrent_norm_;
  std::shared_ptr<Intra> intra_;
};

}  // namespace attend::nn
