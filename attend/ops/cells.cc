#include "attend/ops/cells.h"

#include <torch/csrc/autograd/custom_function.h>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "attend/kernels/cells.h"
#include "attend/ops/first_derivative.h"
#include "attend/ops/optional.h"
#include "attend/ops/products.h"

namespace attend::ops {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using MaybeTensor = std::optional<Tensor>;

Tensor Contiguous(const MaybeTensor& t) { return t ? t->contiguous() : Tensor(); }

// Kept for the backward pass, in units of H.
int64_t SavedBlocks(Cell cell) { return cell == Cell::gru ? 4 : cell == Cell::lstm ? 5 : 1; }

bool Fused(const Tensor& x) { return x.device().is_cpu() && x.scalar_type() == at::kFloat; }

// Rows of work worth handing to a second thread: about 16 k elements.
int64_t Grain(int64_t size) { return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, size)); }

float* Data(const Tensor& t) { return t.defined() ? t.data_ptr<float>() : nullptr; }

// One step's pointers; strides are the row lengths of contiguous matrices.
void ForwardStep(Cell cell, int64_t rows, int64_t size, const float* x, const float* u, const float* h, const float* c,
                 const uint8_t* active, float* h_out, float* c_out, float* saved) {
  at::parallel_for(0, rows, Grain(size), [&](int64_t begin, int64_t end) {
    switch (cell) {
      case Cell::gru:
        kernels::GruForward(x, 3 * size, u, 3 * size, h, size, active, size, begin, end, h_out, size, saved, 4 * size);
        break;
      case Cell::lstm:
        kernels::LstmForward(u, 4 * size, h, size, c, size, active, size, begin, end, h_out, size, c_out, size, saved, 5 * size);
        break;
      case Cell::rnn:
        kernels::ElmanForward(u, size, h, size, active, size, begin, end, h_out, size, saved, size);
        break;
    }
  });
}

// du is the gradient of the gates: of x and u alike except for the GRU, whose dx differs.
void BackwardStep(Cell cell, int64_t rows, int64_t size, const float* dh_out, const float* dc_out, const float* saved, const float* h,
                  const float* c, const uint8_t* active, float* dx, float* du, float* dh, float* dc) {
  at::parallel_for(0, rows, Grain(size), [&](int64_t begin, int64_t end) {
    switch (cell) {
      case Cell::gru:
        kernels::GruBackward(dh_out, size, saved, 4 * size, h, size, active, size, begin, end, dx, 3 * size, du, 3 * size, dh, size);
        break;
      case Cell::lstm:
        kernels::LstmBackward(dh_out, size, dc_out, size, saved, 5 * size, c, size, active, size, begin, end, du, 4 * size, dh, size, dc,
                              size);
        break;
      case Cell::rnn:
        kernels::ElmanBackward(dh_out, size, saved, size, active, size, begin, end, du, size, dh, size);
        break;
    }
  });
}

CellState Composed(Cell cell, const Tensor& x, const Tensor& u, const CellState& state, const Tensor& active) {
  CellState next;
  if (cell == Cell::gru) {
    const auto xs = x.chunk(3, -1), us = u.chunk(3, -1);
    const Tensor r = at::sigmoid(xs[0] + us[0]), z = at::sigmoid(xs[1] + us[1]), n = at::tanh(xs[2] + r * us[2]);
    next.h = n + z * (state.h - n);
  } else if (cell == Cell::lstm) {
    const auto g = (x + u).chunk(4, -1);
    next.c = at::sigmoid(g[1]) * state.c + at::sigmoid(g[0]) * at::tanh(g[2]);
    next.h = at::sigmoid(g[3]) * at::tanh(next.c);
  } else {
    next.h = at::tanh(x + u);
  }
  if (active.defined()) {
    const Tensor on = active.to(at::kBool).unsqueeze(-1);
    next.h = at::where(on, next.h, state.h);
    if (next.c.defined()) next.c = at::where(on, next.c, state.c);
  }
  return next;
}

struct Step : torch::autograd::Function<Step> {
  static variable_list forward(AutogradContext* ctx, int64_t cell_index, const MaybeTensor& x_in, const Tensor& u_in, const Tensor& h_in,
                               const MaybeTensor& c_in, const MaybeTensor& active_in) {
    const Cell cell = static_cast<Cell>(cell_index);
    // For lstm and rnn u already holds the sum of both parts; x is then absent.
    const Tensor x = Contiguous(x_in), u = u_in.contiguous(), h = h_in.contiguous(), c = Contiguous(c_in), active = Undefined(active_in);
    const int64_t rows = h.size(0), size = h.size(1);
    Tensor h_out = at::empty_like(h), c_out = c.defined() ? at::empty_like(c) : Tensor();
    const Tensor saved = at::empty({rows, SavedBlocks(cell) * size}, h.options());
    ForwardStep(cell, rows, size, Data(x), Data(u), Data(h), Data(c), active.defined() ? active.data_ptr<uint8_t>() : nullptr, Data(h_out),
                Data(c_out), Data(saved));
    ctx->saved_data["cell"] = cell_index;
    ctx->save_for_backward({saved, h, c, active});
    if (c_out.defined()) return {h_out, c_out};
    return {h_out};
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    ExpectFirstDerivative("cell");
    const Cell cell = static_cast<Cell>(ctx->saved_data["cell"].toInt());
    const auto kept = ctx->get_saved_variables();
    const Tensor &saved = kept[0], &h = kept[1], &c = kept[2], &active = kept[3];
    const int64_t rows = h.size(0), size = h.size(1);
    const Tensor dh_out = grads[0].contiguous(), dc_out = grads.size() > 1 ? grads[1].contiguous() : Tensor();
    Tensor du = at::empty({rows, Gates(cell) * size}, h.options());
    Tensor dx = cell == Cell::gru ? at::empty_like(du) : Tensor(), dh = at::empty_like(h), dc = c.defined() ? at::empty_like(c) : Tensor();
    BackwardStep(cell, rows, size, Data(dh_out), Data(dc_out), Data(saved), Data(h), Data(c),
                 active.defined() ? active.data_ptr<uint8_t>() : nullptr, Data(dx), Data(du), Data(dh), Data(dc));
    return {Tensor(), dx, du, dh, dc, Tensor()};
  }
};

// Row i of step t (of `steps`) takes part when t < lengths[i].
Tensor ActiveSteps(const Tensor& lengths, int64_t steps) {
  if (!lengths.defined()) return {};
  return (at::arange(steps, lengths.options()).unsqueeze(1) < lengths.unsqueeze(0)).to(at::kByte);  // (T, B)
}

struct Sequence : torch::autograd::Function<Sequence> {
  static variable_list forward(AutogradContext* ctx, int64_t cell_index, const Tensor& x_in, const Tensor& weight,
                               const MaybeTensor& bias_in, const Tensor& h0_in, const MaybeTensor& c0_in, const MaybeTensor& active_in,
                               bool reverse, bool keep) {
    const Cell cell = static_cast<Cell>(cell_index);
    const Tensor x = x_in.contiguous(), h0 = h0_in.contiguous(), c0 = Contiguous(c0_in), bias = Undefined(bias_in),
                 active = Undefined(active_in);
    const int64_t steps = x.size(0), rows = x.size(1), size = weight.size(1), gates = x.size(2);
    const auto options = x.options();
    Tensor states = at::empty({steps, rows, size}, options);
    Tensor cells = c0.defined() ? at::empty({steps, rows, size}, options) : Tensor();
    const Tensor saved = keep ? at::empty({steps, rows, SavedBlocks(cell) * size}, options) : Tensor();
    RepeatedLinear recurrent(Operand(weight));
    Tensor u = at::empty({rows, gates}, options);
    Tensor h = h0, c = c0;
    for (int64_t k = 0; k < steps; k++) {
      const int64_t t = reverse ? steps - 1 - k : k;
      const Tensor xt = x[t];
      recurrent.Add(u, cell == Cell::gru ? bias : xt, Operand(h));
      const Tensor ht = states[t], ct = cells.defined() ? cells[t] : Tensor();
      ForwardStep(cell, rows, size, Data(xt), Data(u), Data(h), Data(c), active.defined() ? active[t].data_ptr<uint8_t>() : nullptr,
                  Data(ht), Data(ct), saved.defined() ? saved.data_ptr<float>() + t * rows * SavedBlocks(cell) * size : nullptr);
      h = ht;
      c = ct;
    }
    ctx->saved_data["cell"] = cell_index;
    ctx->saved_data["reverse"] = reverse;
    ctx->saved_data["bias"] = bias.defined();
    ctx->save_for_backward({saved, states, cells, h0, c0, weight, active});
    const Tensor last = steps ? h.clone() : h0.clone();
    if (c0.defined()) return {states, last, steps ? c.clone() : c0.clone()};
    return {states, last};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    ExpectFirstDerivative("cell");
    const Cell cell = static_cast<Cell>(ctx->saved_data["cell"].toInt());
    const bool reverse = ctx->saved_data["reverse"].toBool();
    const auto kept = ctx->get_saved_variables();
    const Tensor &saved = kept[0], &states = kept[1], &cells = kept[2], &h0 = kept[3], &c0 = kept[4], &weight = kept[5], &active = kept[6];
    const int64_t steps = states.size(0), rows = states.size(1), size = states.size(2), gates = weight.size(0);
    const Tensor dstates = grads[0].contiguous();
    RepeatedLinear backward(Operand(weight).t());
    Tensor dh = grads[1].clone(), dc = c0.defined() ? grads[2].clone() : Tensor();
    const Tensor du = at::empty({steps, rows, gates}, states.options());
    const Tensor dx = cell == Cell::gru ? at::empty_like(du) : du;
    Tensor dh_in = at::empty_like(h0), dc_in = c0.defined() ? at::empty_like(c0) : Tensor();
    for (int64_t k = steps - 1; k >= 0; k--) {
      const int64_t t = reverse ? steps - 1 - k : k, before = reverse ? t + 1 : t - 1;
      const Tensor h = k == 0 ? h0 : states[before], c = !c0.defined() ? Tensor() : k == 0 ? c0 : cells[before];
      dh.add_(dstates[t]);
      const Tensor dut = du[t], dxt = dx[t];
      BackwardStep(cell, rows, size, Data(dh), Data(dc), saved.data_ptr<float>() + t * rows * SavedBlocks(cell) * size, Data(h), Data(c),
                   active.defined() ? active[t].data_ptr<uint8_t>() : nullptr, Data(dxt), Data(dut), Data(dh_in), Data(dc_in));
      backward.Add(dh, dh_in, Operand(dut));
      if (dc.defined()) std::swap(dc, dc_in);
    }
    Tensor dweight, dbias;
    if (steps && rows) {
      // The state that step t read: h0, then the states up to the last but one, in the order of the walk.
      const Tensor flat = du.view({steps * rows, gates});
      const Tensor read =
          reverse ? at::cat({states.slice(0, 1), h0.unsqueeze(0)}) : at::cat({h0.unsqueeze(0), states.slice(0, 0, steps - 1)});
      dweight = Product(Operand(flat).t(), Operand(read.view({steps * rows, size})));
      if (ctx->saved_data["bias"].toBool()) dbias = flat.sum(0);
    } else {
      dweight = at::zeros_like(weight);
      if (ctx->saved_data["bias"].toBool()) dbias = at::zeros({gates}, weight.options());
    }
    return {Tensor(), dx, dweight, dbias, dh, dc, Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

int64_t Gates(Cell cell) { return cell == Cell::gru ? 3 : cell == Cell::lstm ? 4 : 1; }
bool HasMemory(Cell cell) { return cell == Cell::lstm; }

CellState CellStep(Cell cell, const Tensor& x, const Tensor& u, const CellState& state, const Tensor& active) {
  if (!Fused(u)) return Composed(cell, x, u, state, active);
  const auto out = cell == Cell::gru
                       ? Step::apply(static_cast<int64_t>(cell), MaybeTensor(x), u, state.h, Optional(state.c), Optional(active))
                       : Step::apply(static_cast<int64_t>(cell), MaybeTensor(), x + u, state.h, Optional(state.c), Optional(active));
  return {out[0], out.size() > 1 ? out[1] : Tensor()};
}

SequenceResult CellSequence(Cell cell, const Tensor& x, const Tensor& weight, const Tensor& bias, const CellState& initial,
                            const Tensor& lengths, bool reverse) {
  const Tensor active = ActiveSteps(lengths, x.size(0));
  if (Fused(x)) {
    // Only the GRU keeps its recurrent bias apart (inside the reset gate's product); elsewhere it joins the input's part.
    const bool apart = cell == Cell::gru;
    const Tensor joined = apart || !bias.defined() ? x : x + bias;
    const Tensor inner = apart ? (bias.defined() ? bias : at::zeros({weight.size(0)}, weight.options())) : Tensor();
    bool keep = false;  // what the backward pass reads
    for (const Tensor* t : {&joined, &weight, &inner, &initial.h, &initial.c}) keep = keep || (t->defined() && t->requires_grad());
    const auto out = Sequence::apply(static_cast<int64_t>(cell), joined, weight, Optional(inner), initial.h, Optional(initial.c),
                                     Optional(active), reverse, keep && at::GradMode::is_enabled());
    return {out[0], {out[1], out.size() > 2 ? out[2] : Tensor()}};
  }
  const int64_t steps = x.size(0);
  std::vector<Tensor> states(static_cast<size_t>(steps));
  CellState state = initial;
  for (int64_t k = 0; k < steps; k++) {
    const int64_t t = reverse ? steps - 1 - k : k;
    state = Composed(cell, x[t], Linear(state.h, weight, bias), state, active.defined() ? active[t] : Tensor());
    states[static_cast<size_t>(t)] = state.h;
  }
  return {steps ? at::stack(states) : x.new_zeros({0, x.size(1), weight.size(1)}), state};
}

}  // namespace attend::ops
