#pragma once

#include <ATen/core/grad_mode.h>

#include "attend/ops/check.h"

namespace attend::ops {

// Called by the backward pass of a function whose gradient has no history: under create_graph a second derivative would silently be
// wrong.
inline void ExpectFirstDerivative(const char* part) {
  ATTEND_EXPECT(!at::GradMode::is_enabled(), part, "a first derivative; found create_graph (double backward unsupported)");
}

}  // namespace attend::ops
