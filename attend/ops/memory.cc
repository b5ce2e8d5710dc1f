#include "attend/ops/memory.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>

#include "attend/ops/check.h"

namespace attend::ops {
namespace {

// Index into (M·T) of batch row b's position j, (B·T).
at::Tensor Places(const at::Tensor& key_rows) {
  const int64_t length = key_rows.size(1);
  return (key_rows * length + at::arange(length, key_rows.options())).view({-1});
}

}  // namespace

void CheckRowsOfMemory(const at::Tensor& key_rows, int64_t rows) {
  if (!key_rows.is_cpu() || key_rows.numel() == 0) return;
  const auto [low, high] = key_rows.aminmax();
  ATTEND_EXPECT(low.item<int64_t>() >= 0 && high.item<int64_t>() < rows, "attention", "key_rows from 0 to ", rows - 1, "; found ",
                low.item<int64_t>(), " to ", high.item<int64_t>());
}

at::Tensor RowsOfMemory(const at::Tensor& memory, const at::Tensor& key_rows) {
  if (!key_rows.defined()) return memory;
  CheckRowsOfMemory(key_rows, memory.size(0));
  if (key_rows.dim() == 1) return memory.index_select(0, key_rows);
  const int64_t heads = memory.size(1), length = memory.size(2), dim = memory.size(3);
  const at::Tensor places = memory.transpose(1, 2).reshape({memory.size(0) * length, heads, dim});
  return places.index_select(0, Places(key_rows)).view({key_rows.size(0), length, heads, dim}).transpose(1, 2);
}

at::Tensor RowsOfMemoryBackward(const at::Tensor& grad, const at::Tensor& memory, const at::Tensor& key_rows) {
  if (!key_rows.defined()) return grad;
  if (key_rows.dim() == 1) return at::zeros(memory.sizes(), grad.options()).index_add_(0, key_rows, grad);
  const int64_t heads = memory.size(1), length = memory.size(2), dim = memory.size(3);
  const at::Tensor places = at::zeros({memory.size(0) * length, heads, dim}, grad.options());
  places.index_add_(0, Places(key_rows), grad.transpose(1, 2).reshape({-1, heads, dim}));
  return places.view({memory.size(0), length, heads, dim}).transpose(1, 2).contiguous();
}

}  // namespace attend::ops
