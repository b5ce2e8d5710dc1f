#include "attend/nn/recurrent.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include "attend/ops/products.h"

namespace attend::nn {

using at::Tensor;

namespace {

// (B, T): the place of each step of a row that is read from its last step to its first; what lies beyond its length stays where it is.
Tensor Turned(int64_t steps, int64_t rows, const Tensor& lengths, at::Device device) {
  const Tensor t = at::arange(steps, at::TensorOptions(device).dtype(at::kLong)).unsqueeze(0).expand({rows, steps});
  if (!lengths.defined()) return t.flip(1);
  const Tensor turned = lengths.unsqueeze(1) - 1 - t;
  return at::where(turned.ge(0), turned, t);
}

// x (T, B, C) with step order[b][t] of row b at t; undefined: as it is.
Tensor InOrder(const Tensor& x, const Tensor& order) {
  if (!order.defined()) return x;
  const int64_t steps = x.size(0), rows = x.size(1);
  const Tensor place = order.t() * rows + at::arange(rows, order.options()).unsqueeze(0);  // (T, B) in T·B
  return x.reshape({steps * rows, -1}).index_select(0, place.reshape({-1})).view({steps, rows, -1});
}

}  // namespace

Recurrent::Recurrent(spec::Cell cell, int64_t inputs, int64_t size, bool layer_norm, const spec::Intra& intra) : cell_(cell), size_(size) {
  const int64_t gates = ops::Gates(cell);
  weight_ih_ = AddParameter("weight_ih", {gates * size, inputs}, Init::Xavier(gates));
  weight_hh_ = AddParameter("weight_hh", {gates * size, size}, Init::Orthogonal(gates));
  bias_ih_ = AddParameter("bias_ih", {gates * size}, cell == spec::Cell::lstm ? Init::ForgetGate() : Init::Zeros());
  if (cell == spec::Cell::gru) bias_hh_ = AddParameter("bias_hh", {gates * size}, Init::Zeros());  // inside the reset gate's product
  if (layer_norm) {
    input_norm_ = register_module("input_norm", std::make_shared<LayerNorm>(gates * size));
    recurrent_norm_ = register_module("recurrent_norm", std::make_shared<LayerNorm>(gates * size));
  }
  intra_ = MakeIntra(intra, {inputs, size, ops::HasMemory(cell)});
  if (intra_) register_module("intra", intra_);
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

Tensor Recurrent::Run(const Tensor& x, const Tensor& gates, RecurrentState& state, const Tensor& lengths, bool reverse, Context& context,
                      MapKind kind) const {
  if (!recurrent_norm_ && !intra_) {
    const ops::SequenceResult result = ops::CellSequence(cell_, gates, weight_hh_, bias_hh_, state, lengths, reverse);
    state = result.last;
    return result.states;
  }
  // The norm stands between the recurrent product and the gates, attention between the steps: step by step. A reversed row is turned by
  // its own length, so that its steps, and what it draws at them, do not depend on the batch.
  const int64_t steps = gates.size(0), rows = gates.size(1);
  const Tensor order = reverse ? Turned(steps, rows, lengths, gates.device()) : Tensor();  // (B, T)
  const auto inputs = InOrder(gates, order).unbind(0), x_of = InOrder(x, order).unbind(0);
  const Tensor active = lengths.defined() ? at::arange(steps, lengths.options()).unsqueeze(1) < lengths.unsqueeze(0) : Tensor();  // (T, B)
  Loop loop(*this, context, kind);
  std::vector<Tensor> states;
  for (int64_t t = 0; t < steps; t++)
    states.push_back(
        loop.Step(inputs[static_cast<size_t>(t)], {x_of[static_cast<size_t>(t)], t}, state, active.defined() ? active[t] : Tensor()));
  loop.Finish(order);
  return steps ? InOrder(at::stack(states), order) : gates.new_empty({0, rows, size_});
}

Recurrent::Loop::Loop(const Recurrent& layer, Context& context, MapKind kind)
    : layer_(layer), recurrent_(layer.weight_hh_, layer.bias_hh_), intra_(layer.intra_ ? layer.intra_->Start(context, kind) : nullptr) {}

const Tensor& Recurrent::Loop::Step(const Tensor& gates, const IntraStep& step, RecurrentState& state, const Tensor& active) {
  const CellState start = Start(step, state), now = Cell(gates, start, active.defined() ? active.to(at::kByte) : active), before = state;
  Carry(step, now, state);
  if (!intra_ || !active.defined()) return state.h;
  // Rows that are over keep their state, not what attention made of it.
  state.h = at::where(active.unsqueeze(1), state.h, before.h);
  if (state.c.defined()) state.c = at::where(active.unsqueeze(1), state.c, before.c);
  return state.h;
}

CellState Recurrent::Loop::Start(const IntraStep& step, RecurrentState& state) { return intra_ ? intra_->Before(step, state) : state; }

CellState Recurrent::Loop::Cell(const Tensor& gates, const CellState& state, const Tensor& active) const {
  return ops::CellStep(layer_.cell_, gates, layer_.Recur(recurrent_(state.h)), state, active);
}

void Recurrent::Loop::Carry(const IntraStep& step, const CellState& now, RecurrentState& state) {
  static_cast<CellState&>(state) = intra_ ? intra_->After(step, state, now) : now;
}

Tensor Recurrent::Loop::Project(const Tensor& x) const {
  if (!input_) input_.emplace(layer_.weight_ih_, layer_.bias_ih_);
  const Tensor gates = (*input_)(x);
  return layer_.input_norm_ ? layer_.input_norm_->Forward(gates) : gates;
}

void Recurrent::Loop::Finish(const Tensor& order) {
  if (intra_) intra_->Finish(order);
}

}  // namespace attend::nn
