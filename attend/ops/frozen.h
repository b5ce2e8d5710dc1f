#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "attend/ops/packed_weight.h"

namespace attend::ops {

// Says that the values of these weights stay as they are while this object lives. Outside of gradient mode, exact products with a
// frozen float matrix on the CPU read a copy of it laid out for them, made at the first product. Process-wide and thread-safe.
class FrozenWeights {
 public:
  explicit FrozenWeights(const std::vector<at::Tensor>& weights);
  ~FrozenWeights();
  FrozenWeights(const FrozenWeights&) = delete;
  FrozenWeights& operator=(const FrozenWeights&) = delete;

 private:
  std::vector<at::Tensor> weights_;
};

// The copy, when `weight` is frozen and no gradient is recorded; otherwise null.
std::shared_ptr<const PackedWeight> FrozenCopy(const at::Tensor& weight);

}  // namespace attend::ops
