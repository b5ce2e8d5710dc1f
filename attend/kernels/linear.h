#pragma once

#include <cstdint>

namespace attend::kernels {

// Products with one weight matrix that serve a model in use: the weights are laid out once, then every product reads them in order.
//
// Every element of a result is one chain of multiply-adds over the inputs in their order, whatever the number of rows and the other
// rows: a row has the same bits alone and in any batch. Off by at most (inputs + 1) 2^-24 (|x| |W|ᵀ + |addend|), to first order.

// Outputs are laid out in panels of this many.
inline constexpr int64_t kLinearPanel = 32;

inline int64_t LinearPanels(int64_t outputs) { return (outputs + kLinearPanel - 1) / kLinearPanel; }

// weight (outputs, inputs), rows contiguous and `stride` floats apart -> packed (LinearPanels(outputs), inputs, kLinearPanel), the
// outputs that fill up the last panel 0.
void PackLinear(const float* weight, int64_t stride, int64_t outputs, int64_t inputs, float* packed);

// y (rows, outputs) = addend + x Wᵀ for the outputs of panels [begin, end), so that the caller may share the panels among threads.
// x (rows, inputs); rows of x, addend and y are contiguous and lie `*_stride` floats apart; addend may be null, and with stride 0 it
// is one vector for all rows. y overlaps nothing else but an addend of the same place.
void PackedLinear(const float* x, int64_t x_stride, int64_t rows, int64_t inputs, const float* packed, int64_t outputs, const float* addend,
                  int64_t addend_stride, int64_t begin, int64_t end, float* y, int64_t y_stride);

}  // namespace attend::kernels
