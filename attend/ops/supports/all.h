#pragma once

#include "attend/ops/composed_support.h"
#include "attend/spec/supports.h"

namespace attend::ops {

// Every key (Bahdanau et al. 2015, eq. 5): nothing to restrict.
template <>
struct ComposedSupport<spec::AllSupport> {
  static bool Asked(const Call&) { return false; }
  static at::Tensor Visible(const Call&, Positions&) { return {}; }
};

}  // namespace attend::ops
