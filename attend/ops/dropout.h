#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace attend::ops {

// Dropout of features, as a pure function of keys: x (B, T, C) or (B, C), row_keys (B) int64, one Philox key a row (random::RowKey).
// Channel c of position t is drawn with counter (c / 8, position_offset + t, 0, stream) under its row's key: the same in any batch,
// in any slicing over time, for any number of threads. Kept values are multiplied by 65536 / (65536 - round(65536 p)). The backward
// pass draws again; no mask is stored. p = 0 returns x itself.
at::Tensor dropout(const at::Tensor& x, const at::Tensor& row_keys, double p, int64_t stream = 0, int64_t position_offset = 0);

// The same with one mask for all positions (position 0 of the counter): locked dropout of states (Gal and Ghahramani 2016).
at::Tensor locked_dropout(const at::Tensor& x, const at::Tensor& row_keys, double p, int64_t stream = 0);

}  // namespace attend::ops
