#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace attend::ops {

// Batch rows that read the same row of memory, like the hypotheses of a beam, laid side by side as more queries of that row: the memory
// is read where it lies, and once, instead of copied for each. For the parts of attention that do not depend on where a query stands.
class SharedRows {
 public:
  // key_rows (B) of a memory of M rows; nothing where that would not pay: no row is shared, or too unevenly. Checks their range.
  static std::optional<SharedRows> Of(const at::Tensor& key_rows, int64_t memory);

  int64_t memory() const { return memory_; }  // M
  int64_t width() const { return width_; }    // places a row of memory has
  // (B, H, T, C) -> (M Hk, H/Hk width T, C), 0 where a place is free, and back.
  at::Tensor Fold(const at::Tensor& rows, int64_t kv_heads) const;
  at::Tensor Unfold(const at::Tensor& folded, int64_t kv_heads, int64_t heads, int64_t queries) const;

 private:
  int64_t memory_ = 0, width_ = 0;
  bool full_ = false;  // each place is taken, in order
  at::Tensor place_;   // (B) in M width
};

}  // namespace attend::ops
