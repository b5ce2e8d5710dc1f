#pragma once

#include "attend/ops/call.h"

namespace attend::ops {

// Packed sequences as a loop over them: each is a call of its own with B = 1, with its own entry of the per-row arguments.
Outputs PackedForward(const Call& call, Outputs (*one)(const Call&));
Gradients PackedBackward(const BackwardCall& backward, Gradients (*one)(const BackwardCall&));

}  // namespace attend::ops
