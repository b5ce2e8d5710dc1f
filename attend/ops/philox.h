#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace attend::ops {

// Streams of the operator's own draws: the last word of a Philox counter.
constexpr int64_t kWeightDropoutStream = 0, kSampleStream = 1;

// One key a row: `seed` (B) as it is; from one number (), B keys derived from it and the row's index.
at::Tensor RowKeys(const at::Tensor& seed, int64_t rows);

// Factors of dropout, 0 or 65536 / (65536 - round(65536 p)), float or double by `options`, (B, H, T, C): element (b, h, t, c) is drawn by
// sixteen bits of Philox(key = keys[b]; counter = (c / 8, offset_b + t, h, stream)). keys (B) int64; offsets undefined, () or (B) int64.
// On the CPU by the generator of kernels/random.h; elsewhere the same bits by tensor operations.
at::Tensor DropoutFactors(const at::Tensor& keys, const at::Tensor& offsets, int64_t heads, int64_t positions, int64_t channels,
                          int64_t stream, double p, const at::TensorOptions& options);

// The tensor operations of DropoutFactors, on any device.
at::Tensor ComposedDropoutFactors(const at::Tensor& keys, const at::Tensor& offsets, int64_t heads, int64_t positions, int64_t channels,
                                  int64_t stream, double p, const at::TensorOptions& options);

// Draws of a Gumbel distribution, -log(-log u), float or double by `options`, (B, H, T, C): u of element (b, h, t, c) is a word of
// Philox(key = keys[b]; counter = (c / 4, offset_b + t, h, stream)) as (word + 1/2) / 2^32. Arguments as for DropoutFactors.
at::Tensor GumbelDraws(const at::Tensor& keys, const at::Tensor& offsets, int64_t heads, int64_t positions, int64_t channels,
                       int64_t stream, const at::TensorOptions& options);

// The tensor operations of GumbelDraws, on any device.
at::Tensor ComposedGumbelDraws(const at::Tensor& keys, const at::Tensor& offsets, int64_t heads, int64_t positions, int64_t channels,
                               int64_t stream, const at::TensorOptions& options);

}  // namespace attend::ops
