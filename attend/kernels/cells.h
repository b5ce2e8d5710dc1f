#pragma once

#include <cstdint>

namespace attend::kernels {

// The pointwise part of recurrent cells, forward and backward, fused: one pass over the gates of a step. All float32; a row is
// contiguous, rows lie `*_stride` floats apart. Rows [begin, end) only, so that the caller may share the rows among threads.
//
// active: (rows) or null. A row with active[i] == 0 keeps its state (its sequence has ended): h' = h, c' = c, gates get no gradient.

// GRU (Cho et al. 2014, in the form of cuDNN and PyTorch: the reset gate after the recurrent product):
//   r = sigmoid(x_r + u_r)   z = sigmoid(x_z + u_z)   n = tanh(x_n + r * u_n)   h' = (1 - z) * n + z * h
// x (rows, 3H) the input's part, u (rows, 3H) = W_hh h + b_hh, both in the order r, z, n. saved (rows, 4H): r, z, n, u_n.
void GruForward(const float* x, int64_t x_stride, const float* u, int64_t u_stride, const float* h, int64_t h_stride, const uint8_t* active,
                int64_t size, int64_t begin, int64_t end, float* h_out, int64_t out_stride, float* saved, int64_t saved_stride);

// From dh' (rows, H): dx (rows, 3H), du (rows, 3H), dh (rows, H) = the direct path only (z * dh', or dh' where inactive).
void GruBackward(const float* dh_out, int64_t dh_out_stride, const float* saved, int64_t saved_stride, const float* h, int64_t h_stride,
                 const uint8_t* active, int64_t size, int64_t begin, int64_t end, float* dx, int64_t dx_stride, float* du,
                 int64_t du_stride, float* dh, int64_t dh_stride);

// LSTM (Hochreiter and Schmidhuber 1997, with forget gate):
//   i, f, o = sigmoid(g_i, g_f, g_o)   g = tanh(g_g)   c' = f * c + i * g   h' = o * tanh(c')
// gates (rows, 4H) = W x + b + U h in the order i, f, g, o. saved (rows, 5H): i, f, g, o, tanh(c').
void LstmForward(const float* gates, int64_t gates_stride, const float* h, int64_t h_stride, const float* c, int64_t c_stride,
                 const uint8_t* active, int64_t size, int64_t begin, int64_t end, float* h_out, int64_t out_stride, float* c_out,
                 int64_t c_out_stride, float* saved, int64_t saved_stride);

// From dh', dc' (rows, H): dgates (rows, 4H), dc (rows, H), dh (rows, H) = 0 or dh' where inactive.
void LstmBackward(const float* dh_out, int64_t dh_out_stride, const float* dc_out, int64_t dc_out_stride, const float* saved,
                  int64_t saved_stride, const float* c, int64_t c_stride, const uint8_t* active, int64_t size, int64_t begin, int64_t end,
                  float* dgates, int64_t dgates_stride, float* dh, int64_t dh_stride, float* dc, int64_t dc_stride);

// Elman network: h' = tanh(gates). saved (rows, H): h' where active.
void ElmanForward(const float* gates, int64_t gates_stride, const float* h, int64_t h_stride, const uint8_t* active, int64_t size,
                  int64_t begin, int64_t end, float* h_out, int64_t out_stride, float* saved, int64_t saved_stride);
void ElmanBackward(const float* dh_out, int64_t dh_out_stride, const float* saved, int64_t saved_stride, const uint8_t* active,
                   int64_t size, int64_t begin, int64_t end, float* dgates, int64_t dgates_stride, float* dh, int64_t dh_stride);

}  // namespace attend::kernels
