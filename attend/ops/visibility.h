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

}  // namespace attend::ops
