#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/floor_divide.h>

#include "attend/ops/composed_support.h"
#include "attend/spec/supports.h"

namespace attend::ops {

// Its own block of `size` positions and look_back before it (Liu et al. 2018, section 4.2.4).
template <>
struct ComposedSupport<spec::BlockSupport> {
  static bool Asked(const Call& c) { return c.block_size.has_value(); }

  static at::Tensor Visible(const Call& c, Positions& at) {
    const int64_t size = c.block_size->expect_int();
    const at::Tensor query = at.Query().floor_divide(size), key = at.Key().floor_divide(size);
    const int64_t back = c.look_back ? c.look_back->expect_int() : 0;
    return key.le(query).logical_and_(key.ge(query - back));
  }
};

}  // namespace attend::ops
