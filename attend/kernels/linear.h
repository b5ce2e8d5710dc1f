#pragma once

#include <cstdint>

namespace attend::kernels {

// Products with a matrix of weights, y = addend + x Wᵀ, in single precision; with another view of the same numbers, any product.
//
// Every element of a result is one chain of multiply-adds over the inputs in their order (the addend joins it after the first share of
// long inputs), whatever the number of rows, the other rows and the threads: a row has the same bits alone and in any batch. Off by at
// most (inputs + 1) 2^-24 (|x| |W|ᵀ + |addend|), to first order.

// A matrix as it lies: element (i, j) at data[i * row + j * column]. Fastest where one of the two is 1.
struct Matrix {
  const float* data;
  int64_t row, column;
};

// Outputs are laid out in panels of this many.
inline constexpr int64_t kLinearPanel = 32;

inline int64_t LinearPanels(int64_t outputs) { return (outputs + kLinearPanel - 1) / kLinearPanel; }

// weight (outputs, inputs) -> packed (LinearPanels(outputs), inputs, kLinearPanel), the outputs that fill up the last panel 0; panels
// [begin, end) of it only. For weights that serve several products: laid out once, then read in order.
void PackLinear(Matrix weight, int64_t outputs, int64_t inputs, int64_t begin, int64_t end, float* packed);

// y (rows, outputs) = addend + x Wᵀ for the outputs of panels [begin, end), so that the caller may share the panels among threads.
// x (rows, inputs); rows of addend and y are contiguous and lie `*_stride` floats apart; addend may be null, and with stride 0 it is one
// vector for all rows. y overlaps nothing else but an addend of the same place.
void PackedLinear(Matrix x, int64_t rows, int64_t inputs, const float* packed, int64_t outputs, const float* addend, int64_t addend_stride,
                  int64_t begin, int64_t end, float* y, int64_t y_stride);

// The same, and the same bits, with weight (outputs, inputs) as it lies.
void Linear(Matrix x, int64_t rows, int64_t inputs, Matrix weight, int64_t outputs, const float* addend, int64_t addend_stride,
            int64_t begin, int64_t end, float* y, int64_t y_stride);

}  // namespace attend::kernels
