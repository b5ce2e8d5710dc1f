#pragma once

#include "attend/ops/composed_support.h"
#include "attend/spec/supports.h"

namespace attend::ops {

// A window (D, D) around the time step: layers ask the operator for a window (Luong et al. 2015, section 3.2, local-m).
template <>
struct ComposedSupport<spec::MonotonicSupport> {
  static bool Asked(const Call&) { return false; }
  static at::Tensor Visible(const Call&, Positions&) { return {}; }
};

}  // namespace attend::ops
