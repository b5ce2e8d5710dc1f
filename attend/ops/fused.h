#pragma once

#include <string>

#include "attend/ops/call.h"
#include "attend/ops/check.h"

namespace attend::ops {

// The operator by the fused kernels (kernels/attention): single precision and bfloat16 on the CPU.

// Why the kernels do not serve this call; empty: they do. Reads names, dtypes and devices only.
std::string NotFused(const Call& call, const Shape& shape);

// What the kernels prepare of a key (B, Hk, Tk, D), (B, Hk, Tk, D) in float; shape (0): nothing. Meta: the same without data.
at::Tensor FusedPrepare(const at::Tensor& key, const std::string& score);
at::Tensor FusedPrepareMeta(const at::Tensor& key, const std::string& score);

// Of calls that NotFused says nothing of; the arguments have passed Check. The same results whatever the number of threads.
Outputs FusedForward(const Call& call);
// `output` and `lse` of the forward pass serve softmax where both are there; without, rows are looked at as a whole.
Gradients FusedBackward(const BackwardCall& backward);

}  // namespace attend::ops
