#include "attend/ops/frozen.h"

#include <ATen/core/grad_mode.h>

#include <atomic>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

namespace attend::ops {
namespace {

using at::Tensor;

struct FrozenWeight {
  int64_t owners = 0;
  std::once_flag once;
  std::shared_ptr<const PackedWeight> packed;
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

bool Freezable(const Tensor& weight) { return OwnProducts(weight) && weight.is_contiguous() && weight.numel() > 0; }

std::shared_ptr<FrozenWeight> Find(const Tensor& weight) {
  FrozenRegistry& registry = Registry();
  if (registry.size == 0 || at::GradMode::is_enabled() || !Freezable(weight)) return nullptr;
  std::shared_lock lock(registry.mutex);
  const auto found = registry.weights.find(weight.const_data_ptr());
  return found == registry.weights.end() ? nullptr : found->second;
}

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

std::shared_ptr<const PackedWeight> FrozenCopy(const Tensor& weight) {
  const auto frozen = Find(weight);
  if (!frozen) return nullptr;
  std::call_once(frozen->once, [&] { frozen->packed = std::make_shared<PackedWeight>(weight, true); });
  return frozen->packed;
}

}  // namespace attend::ops
