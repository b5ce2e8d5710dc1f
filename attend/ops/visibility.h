#pragma once

#include <ATen/core/Tensor.h>

#include "attend/ops/call.h"

namespace attend::ops {

// Positions of queries and keys, each in its own sequence, computed when first asked for.
class Positions {
 public:
  Positions(const Call& call, int64_t queries, int64_t keys) : call_(call), queries_(queries), keys_(keys) {}
  const at::Tensor& Query();  // (B or 1, 1, Tq, 1) int64
  const at::Tensor& Key();    // (Tk) int64

 private:
  const Call& call_;
  int64_t queries_, keys_;
  at::Tensor query_, key_;
};

// The keys that a query cannot see: bool, broadcasts to (B, Hq, Tq, Tk), True = invisible; undefined when everything is visible.
at::Tensor Invisible(const Call& call, int64_t queries, int64_t keys);

// |i - j| of positions, broadcasts to (B, Hq, Tq, Tk).
at::Tensor Distances(const Call& call, int64_t queries, int64_t keys, at::ScalarType type);

// What the weights are multiplied by after the normaliser, broadcasts to (B, Hq, Tq, Tk); undefined where by nothing.
at::Tensor WeightFactors(const Call& call, int64_t queries, int64_t keys, at::ScalarType type);
// The gradient of the centres that the factors depend on, (B, Hq, Tq).
at::Tensor CentersBackward(const Call& call, int64_t queries, int64_t keys, const at::Tensor& factors, const at::Tensor& grad_factors);

}  // namespace attend::ops
