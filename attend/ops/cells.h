#pragma once

#include <ATen/core/Tensor.h>

#include "attend/spec/mechanisms.h"

namespace attend::ops {

using spec::Cell;

// Number of gate blocks of a cell: its input and recurrent weights have gates * H rows.
int64_t Gates(Cell cell);

// Does the cell carry a second state (LSTM's c)?
bool HasMemory(Cell cell);

struct CellState {
  at::Tensor h;  // (B, H)
  at::Tensor c;  // (B, H), undefined unless HasMemory
};

// One step of the pointwise part of a cell, forward and backward fused on the CPU in float32, composed elsewhere.
//   x (B, G H): the input's part with its bias
//   u (B, G H): W_hh h (+ b_hh)
// gru: r, z, n with r * u_n inside the tanh; lstm: i, f, g, o; rnn: tanh. The formulas stand in kernels/cells.h.
// active (B) uint8 or undefined: rows with 0 keep their state.
CellState CellStep(Cell cell, const at::Tensor& x, const at::Tensor& u, const CellState& state, const at::Tensor& active = {});

// A cell run over a whole sequence whose input is known beforehand.
//   x (T, B, G H): W_ih x_t + b_ih for all steps; weight (G H, H) = W_hh; bias (G H) = b_hh
//   lengths (B) int64 or undefined; reverse: from the last step to the first (each row from its own last step)
// Returns the states (T, B, H), which beyond a row's length repeat its last state (reverse: its first), and the final state.
struct SequenceResult {
  at::Tensor states;
  CellState last;
};
SequenceResult CellSequence(Cell cell, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const CellState& initial,
                            const at::Tensor& lengths, bool reverse);

}  // namespace attend::ops
