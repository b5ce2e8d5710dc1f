#pragma once

#include "attend/ops/call.h"

namespace attend::ops {

// The operator composed of tensor operations, on any device: oracle, fallback and documentation of the fused paths. Every piece of it
// is a mechanism's file: ops/scores/x.h, ops/supports/x.h, ops/normalisers/x.h, ops/readouts/x.h. Arithmetic is float64 for float64 and
// float32 for everything else. The arguments have passed Check. Deterministic.
Outputs ComposedForward(const Call& call);
Gradients ComposedBackward(const BackwardCall& backward);

}  // namespace attend::ops
