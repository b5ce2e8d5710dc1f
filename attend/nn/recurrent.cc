#include "attend/nn/recurrent.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "attend/ops/products.h"

namespace attend::nn {

using at::Tensor;

Recurrent::Recurrent(spec::Cell cell, int64_t inputs, int64_t size, bool layer_norm) : cell_(cell), size_(size) {
  const int64_t gates = ops::Gates(cell);
  weight_ih_ = AddParameter("weight_ih", {gates * size, inputs}, Init::Xavier(gates));
  weight_hh_ = AddParameter("weight_hh", {gates * size, size}, Init::Orthogonal(gates));
  bias_ih_ = AddParameter("bias_ih", {gates * size}, cell == spec::Cell::lstm ? Init::ForgetGate() : Init::Zeros());
  if (cell == spec::Cell::gru) bias_hh_ = AddParameter("bias_hh", {gates * size}, Init::Zeros());  // inside the reset gate's product
  if (layer_norm) {
    input_norm_ = register_module("input_norm", std::make_shared<LayerNorm>(gates * size));
    recurrent_norm_ = register_module("recurrent_norm", std::make_shared<LayerNorm>(gates * size));
  }
}

Tensor Recurrent::Inputs(const Tensor& x) const {
  const Tensor gates = ops::Linear(x, weight_ih_, bias_ih_);
  return input_norm_ ? input_norm_->Forward(gates) : gates;
}

Tensor Recurrent::Recur(const Tensor& u) const { return recurrent_norm_ ? recurrent_norm_->Forward(u) : u; }

CellState Recurrent::Zero(int64_t rows) const {
  const Tensor zero = at::zeros({rows, size_}, weight_hh_.options().requires_grad(false));
  return {zero, ops::HasMemory(cell_) ? zero : Tensor()};
}

ops::SequenceResult Recurrent::Run(const Tensor& x, const CellState& initial, const Tensor& lengths, bool reverse) const {
  return RunGates(Inputs(x), initial, lengths, reverse);
}

ops::SequenceResult Recurrent::RunGates(const Tensor& gates, const CellState& initial, const Tensor& lengths, bool reverse) const {
  if (!recurrent_norm_) return ops::CellSequence(cell_, gates, weight_hh_, bias_hh_, initial, lengths, reverse);
  // The norm stands between the recurrent product and the gates: step by step.
  const int64_t steps = gates.size(0);
  const auto inputs = gates.unbind(0);
  const Tensor active =
      lengths.defined() ? (at::arange(steps, lengths.options()).unsqueeze(1) < lengths.unsqueeze(0)).to(at::kByte) : Tensor();
  const ops::StepLinear recurrent(weight_hh_, bias_hh_);
  std::vector<Tensor> states(static_cast<size_t>(steps));
  CellState state = initial;
  for (int64_t k = 0; k < steps; k++) {
    const int64_t t = reverse ? steps - 1 - k : k;
    state = ops::CellStep(cell_, inputs[static_cast<size_t>(t)], Recur(recurrent(state.h)), state, active.defined() ? active[t] : Tensor());
    states[static_cast<size_t>(t)] = state.h;
  }
  return {steps ? at::stack(states) : gates.new_empty({0, gates.size(1), size_}), state};
}

Recurrent::Loop::Loop(const Recurrent& layer) : layer_(layer), recurrent_(layer.weight_hh_, layer.bias_hh_) {}

CellState Recurrent::Loop::Step(const Tensor& gates, const CellState& state) const {
  return ops::CellStep(layer_.cell_, gates, layer_.Recur(recurrent_(state.h)), state);
}

Tensor Recurrent::Loop::Project(const Tensor& x) const {
  if (!input_) input_.emplace(layer_.weight_ih_, layer_.bias_ih_);
  const Tensor gates = (*input_)(x);
  return layer_.input_norm_ ? layer_.input_norm_->Forward(gates) : gates;
}

}  // namespace attend::nn
