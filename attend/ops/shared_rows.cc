#include "attend/ops/shared_rows.h"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <vector>

#include "attend/ops/memory.h"

namespace attend::ops {

using at::Tensor;

std::optional<SharedRows> SharedRows::Of(const Tensor& key_rows, int64_t memory) {
  const int64_t batch = key_rows.size(0);
  if (!key_rows.is_cpu() || memory >= batch || memory == 0) return {};
  CheckRowsOfMemory(key_rows, memory);
  const Tensor rows = key_rows.contiguous();
  const int64_t* row = rows.const_data_ptr<int64_t>();
  std::vector<int64_t> slot(static_cast<size_t>(batch)), taken(static_cast<size_t>(memory), 0);
  SharedRows out;
  for (int64_t b = 0; b < batch; b++) {
    slot[static_cast<size_t>(b)] = taken[static_cast<size_t>(row[b])]++;
    out.width_ = std::max(out.width_, taken[static_cast<size_t>(row[b])]);
  }
  if (memory * out.width_ > 2 * batch) return {};
  out.memory_ = memory;
  out.full_ = memory * out.width_ == batch;
  for (int64_t b = 0; b < batch; b++) {
    slot[static_cast<size_t>(b)] += row[b] * out.width_;
    out.full_ = out.full_ && slot[static_cast<size_t>(b)] == b;
  }
  out.place_ = at::tensor(slot, at::kLong);
  return out;
}

Tensor SharedRows::Fold(const Tensor& rows, int64_t kv_heads) const {
  const int64_t heads = rows.size(1), queries = rows.size(2), size = rows.size(3);
  Tensor placed = rows;
  if (!full_) {
    placed = at::zeros({memory_ * width_, heads, queries, size}, rows.options());
    placed.index_copy_(0, place_, rows);
  }
  return placed.reshape({memory_, width_, kv_heads, heads / kv_heads, queries, size})
      .permute({0, 2, 3, 1, 4, 5})
      .reshape({memory_ * kv_heads, heads / kv_heads * width_ * queries, size});
}

Tensor SharedRows::Unfold(const Tensor& folded, int64_t kv_heads, int64_t heads, int64_t queries) const {
  const int64_t size = folded.size(2);
  const Tensor placed = folded.view({memory_, kv_heads, heads / kv_heads, width_, queries, size})
                            .permute({0, 3, 1, 2, 4, 5})
                            .reshape({memory_ * width_, heads, queries, size});
  return full_ ? placed : placed.index_select(0, place_);
}

}  // namespace attend::ops
