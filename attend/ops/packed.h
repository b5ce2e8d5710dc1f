#pragma once

#include <vector>

#include "attend/ops/call.h"

namespace attend::ops {

// One of the sequences of a packed call: its number; its first query and how many; its first key and how many.
struct PackedSequence {
  int64_t row, query, queries, key, keys;
};
// Errors: cu_seqlens that do not rise from 0 to the number of queries and keys.
std::vector<PackedSequence> Sequences(const Call& call);

// Packed sequences as a loop over them: each is a call of its own with B = 1, with its own entry of the per-row arguments.
Outputs PackedForward(const Call& call, Outputs (*one)(const Call&));
Gradients PackedBackward(const BackwardCall& backward, Gradients (*one)(const BackwardCall&));

}  // namespace attend::ops
