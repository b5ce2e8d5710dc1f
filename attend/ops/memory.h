#pragma once

#include <ATen/core/Tensor.h>

namespace attend::ops {

// The rows of memory (key or value) that a batch reads. memory (M, H, T, D); key_rows undefined (then itself), (B) or (B, T):
// the row of memory that holds position j for this batch row. Returns (B, H, T, D). A row outside 0 .. M-1 is an error.
at::Tensor RowsOfMemory(const at::Tensor& memory, const at::Tensor& key_rows);

// The error of a row outside 0 .. rows-1.
void CheckRowsOfMemory(const at::Tensor& key_rows, int64_t rows);

// Its gradient: grad (B, H, T, D) -> like memory; rows used twice sum, in a fixed order.
at::Tensor RowsOfMemoryBackward(const at::Tensor& grad, const at::Tensor& memory, const at::Tensor& key_rows);

}  // namespace attend::ops
