#include "attend/nn/attention_cache.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <algorithm>

namespace attend::nn {
namespace {

using at::Tensor;

// The parts of a memory that have a column a key, and which dimension that is.
struct Part {
  Tensor AttentionMemory::*tensor = nullptr;
  Tensor ops::PreparedKey::*of_key = nullptr;
  int64_t dim = 2;

  Tensor& In(AttentionMemory& memory) const { return tensor ? memory.*tensor : memory.key.*of_key; }
  const Tensor& In(const AttentionMemory& memory) const { return tensor ? memory.*tensor : memory.key.*of_key; }
};
const Part kParts[] = {{nullptr, &ops::PreparedKey::key, 2},
                       {nullptr, &ops::PreparedKey::packed, 2},
                       {&AttentionMemory::of_keys, nullptr, 3},
                       {&AttentionMemory::value, nullptr, 2}};

constexpr int64_t kFirstRoom = 32;  // positions

// A tensor like `one` with this many rows and columns, with what `old` (may be undefined) holds.
Tensor Grown(const Tensor& one, const Tensor& old, int64_t dim, int64_t rows, int64_t columns, int64_t used) {
  std::vector<int64_t> shape(one.sizes().begin(), one.sizes().end());
  shape[0] = rows;
  shape[static_cast<size_t>(dim)] = columns;
  Tensor room = at::empty(shape, one.options().requires_grad(false));
  if (old.defined() && used > 0) room.slice(0, 0, old.size(0)).slice(dim, 0, used).copy_(old.slice(dim, 0, used));
  return room;
}

}  // namespace

void AttentionCache::Put(const AttentionMemory& step, int64_t position) {
  store_.key.score = step.key.score;
  store_.key.param = step.key.param;
  for (const Part& part : kParts) {
    const Tensor& one = part.In(step);
    if (!one.defined() || one.numel() == 0) continue;
    Tensor& all = part.In(store_);
    const bool fits = all.defined() && all.size(0) >= one.size(0) && all.size(part.dim) > position;
    if (!fits) {
      const int64_t rows = std::max(one.size(0), all.defined() ? all.size(0) : 0);
      const int64_t columns = all.defined() && all.size(part.dim) > position ? all.size(part.dim) : std::max(kFirstRoom, 2 * position);
      all = Grown(one, all, part.dim, rows, columns, position);
    }
    all.slice(0, 0, one.size(0)).select(part.dim, position).copy_(one.select(part.dim, 0));
  }
  positions_ = position + 1;
}

AttentionMemory AttentionCache::Read(const Tensor& rows) const {
  AttentionMemory out = store_;
  for (const Part& part : kParts)
    if (Tensor& t = part.In(out); t.defined()) t = t.slice(part.dim, 0, positions_);
  out.rows = rows;
  return out;
}

void CacheRows::Select(const Tensor& parents) {
  if (positions_ > 0) {
    const Tensor before = table_.defined() ? table_ : at::arange(rows_, parents.options()).unsqueeze(1).expand({rows_, positions_});
    table_ = before.index_select(0, parents);
  }
  rows_ = parents.size(0);
}

void CacheRows::Advance() {
  if (table_.defined()) table_ = at::cat({table_, at::arange(rows_, table_.options()).unsqueeze(1)}, 1);
  positions_++;
}

}  // namespace attend::nn
