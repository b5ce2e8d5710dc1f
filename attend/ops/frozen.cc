#include "attend/ops/frozen.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <unordered_map>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "attend/kernels/linear.h"

namespace attend::ops {
namespace {

using at::Tensor;

struct Free {
  void operator()(float* p) const { std::free(p); }
};
using Buffer = std::unique_ptr<float[], Free>;

// Large ones in huge pages where the system has them: reading a vocabulary's weights from end to end is 5 to 10 % faster.
Buffer MakeBuffer(size_t floats) {
  constexpr size_t kLine = 64, kHuge = size_t{1} << 21;
  const size_t bytes = floats * sizeof(float), unit = bytes >= kHuge ? kHuge : kLine, size = (bytes + unit - 1) / unit * unit;
  Buffer buffer(static_cast<float*>(std::aligned_alloc(unit, size)));
  if (!buffer) throw std::bad_alloc();
#ifdef __linux__
  if (unit == kHuge) madvise(buffer.get(), size, MADV_HUGEPAGE);  // a hint: nothing depends on its success
#endif
  return buffer;
}

struct FrozenWeight {
  int64_t owners = 0;
  std::once_flag once;
  Buffer packed;
};

// By the address of the values, which the owners keep alive.
struct FrozenRegistry {
  std::shared_mutex mutex;
  std::unordered_map<const void*, std::shared_ptr<FrozenWeight>> weights;
  std::atomic<int64_t> size = 0;
};

FrozenRegistry& Registry() {
  static FrozenRegistry registry;
  return registry;
}

bool Freezable(const Tensor& weight) {
  return weight.dim() == 2 && weight.device().is_cpu() && weight.scalar_type() == at::kFloat && weight.is_contiguous() &&
         weight.numel() > 0;
}

std::shared_ptr<FrozenWeight> Find(const Tensor& weight) {
  FrozenRegistry& registry = Registry();
  if (registry.size == 0 || at::GradMode::is_enabled() || !Freezable(weight)) return nullptr;
  std::shared_lock lock(registry.mutex);
  const auto found = registry.weights.find(weight.const_data_ptr());
  return found == registry.weights.end() ? nullptr : found->second;
}

// Elements of the weight for each piece of work that another thread may take.
constexpr int64_t kGrain = 1 << 18;

}  // namespace

FrozenWeights::FrozenWeights(const std::vector<Tensor>& weights) {
  FrozenRegistry& registry = Registry();
  std::unique_lock lock(registry.mutex);
  for (const Tensor& weight : weights) {
    if (!Freezable(weight)) continue;
    weights_.push_back(weight);
    auto& entry = registry.weights[weight.const_data_ptr()];
    if (!entry) entry = std::make_shared<FrozenWeight>();
    entry->owners++;
  }
  registry.size = static_cast<int64_t>(registry.weights.size());
}

FrozenWeights::~FrozenWeights() {
  FrozenRegistry& registry = Registry();
  std::unique_lock lock(registry.mutex);
  for (const Tensor& weight : weights_) {
    const auto found = registry.weights.find(weight.const_data_ptr());
    if (--found->second->owners == 0) registry.weights.erase(found);
  }
  registry.size = static_cast<int64_t>(registry.weights.size());
}

bool Frozen(const Tensor& weight) { return Find(weight) != nullptr; }

bool AddFrozenLinear(const Tensor& out, const Tensor& addend, const Tensor& x_in, const Tensor& weight) {
  const auto frozen = Find(weight);
  if (!frozen) return false;
  const int64_t outputs = weight.size(0), inputs = weight.size(1), rows = x_in.size(0);
  std::call_once(frozen->once, [&] {
    frozen->packed = MakeBuffer(static_cast<size_t>(kernels::LinearPanels(outputs) * kernels::kLinearPanel * inputs));
    kernels::PackLinear(weight.const_data_ptr<float>(), inputs, outputs, inputs, frozen->packed.get());
  });
  const Tensor x = x_in.stride(1) == 1 ? x_in : x_in.contiguous();
  const Tensor added = !addend.defined() || addend.stride(-1) == 1 ? addend : addend.contiguous();
  const int64_t added_stride = added.defined() && added.dim() == 2 ? added.stride(0) : 0;
  const float* added_data = added.defined() ? added.const_data_ptr<float>() : nullptr;
  const int64_t grain = std::max<int64_t>(1, kGrain / (kernels::kLinearPanel * inputs));
  at::parallel_for(0, kernels::LinearPanels(outputs), grain, [&](int64_t begin, int64_t end) {
    kernels::PackedLinear(x.const_data_ptr<float>(), x.stride(0), rows, inputs, frozen->packed.get(), outputs, added_data, added_stride,
                          begin, end, out.data_ptr<float>(), out.stride(0));
  });
  return true;
}

}  // namespace attend::ops
