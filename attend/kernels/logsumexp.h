#pragma once

#include <cstdint>

namespace attend::kernels {

// Rows are looked at in blocks of this many elements; the last may be shorter.
constexpr int64_t kRowBlock = 128;
constexpr int64_t RowBlocks(int64_t n) { return (n + kRowBlock - 1) / kRowBlock; }

// top[b] = the greatest of block b of x (n); unspecified for a block that holds NaN.
void BlockMax(const float* x, int64_t n, float* top);

// sum[b] = sum over block b of exp((x_j - shift) scale), where no x_j is above shift and scale is positive: relative error below
// 1e-6; terms below e^-87 count as 0. NaN where x_j is NaN, or x_j and shift are the same infinity.
void BlockSumExp(const float* x, int64_t n, float shift, float scale, float* sum);

}  // namespace attend::kernels
