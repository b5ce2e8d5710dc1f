#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/le.h>

#include "attend/ops/composed_support.h"
#include "attend/spec/supports.h"

namespace attend::ops {

// i - left <= j <= i + right (Luong et al. 2015, section 3.2, local-m: left = right = D)
template <>
struct ComposedSupport<spec::WindowSupport> {
  static bool Asked(const Call& c) { return c.window_left || c.window_right; }

  static at::Tensor Visible(const Call& c, Positions& at) {
    at::Tensor visible;
    if (c.window_left) visible = at.Key().ge(at.Query() - c.window_left->expect_int());
    if (c.window_right) {
      const at::Tensor before = at.Key().le(at.Query() + c.window_right->expect_int());
      visible = visible.defined() ? visible.logical_and_(before) : before;
    }
    return visible;
  }
};

}  // namespace attend::ops
