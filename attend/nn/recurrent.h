#pragma once

#include <optional>

#include "attend/nn/basic.h"
#include "attend/ops/cells.h"
#include "attend/ops/step_linear.h"

namespace attend::nn {

using ops::CellState;

// One layer of a recurrent cell: weights in PyTorch's layout and gate order.
class Recurrent : public Module {
 public:
  Recurrent(spec::Cell cell, int64_t inputs, int64_t size, bool layer_norm);

  // The input's part of the gates, for any number of steps at once: (..., inputs) -> (..., G size).
  at::Tensor Inputs(const at::Tensor& x) const;

  // Over a whole sequence: x (T, B, inputs), or gates = Inputs(x) (T, B, G size) -> states (T, B, size).
  ops::SequenceResult Run(const at::Tensor& x, const CellState& initial, const at::Tensor& lengths, bool reverse) const;
  ops::SequenceResult RunGates(const at::Tensor& gates, const CellState& initial, const at::Tensor& lengths, bool reverse) const;

  // A loop whose input is known one step at a time. Make one per pass.
  class Loop {
   public:
    explicit Loop(const Recurrent& layer);
    // gates = Inputs(x) of this step (B, G size), or x itself (B, inputs) through Project.
    CellState Step(const at::Tensor& gates, const CellState& state) const;
    at::Tensor Project(const at::Tensor& x) const;

   private:
    const Recurrent& layer_;
    ops::StepLinear recurrent_;
    mutable std::optional<ops::StepLinear> input_;
  };

  CellState Zero(int64_t rows) const;
  spec::Cell cell() const { return cell_; }
  int64_t size() const { return size_; }

 private:
  at::Tensor Recur(const at::Tensor& u) const;

  spec::Cell cell_;
  int64_t size_;
  at::Tensor weight_ih_, weight_hh_, bias_ih_, bias_hh_;
  std::shared_ptr<LayerNorm> input_norm_, recurrent_norm_;
};

}  // namespace attend::nn
