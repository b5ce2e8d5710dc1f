#pragma once

#include <ATen/core/dispatch/OperatorEntry.h>
#include <ATen/core/stack.h>

#include "attend/ops/attention.h"
#include "attend/ops/call.h"

namespace attend::ops {

// The boxed kernels of the operators: they take the arguments off a stack, so that the order of arguments is written in call.def only.
void AttentionMeta(const c10::OperatorHandle& op, torch::jit::Stack* stack);
void AttentionBackwardMeta(const c10::OperatorHandle& op, torch::jit::Stack* stack);
void AttentionAutograd(const c10::OperatorHandle& op, torch::jit::Stack* stack);
void AttentionBackwardAutograd(const c10::OperatorHandle& op, torch::jit::Stack* stack);
void AttentionAutocastCpu(const c10::OperatorHandle& op, torch::jit::Stack* stack);
void AttentionAutocastCuda(const c10::OperatorHandle& op, torch::jit::Stack* stack);

// The operator's arguments.
Call MakeCall(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const AttentionArgs& args);

// Calls through torch's dispatcher.
Outputs Dispatch(const Call& call);
at::Tensor DispatchPrepare(const at::Tensor& key, const std::string& score, const at::Tensor& param);
Gradients Dispatch(const BackwardCall& backward);
std::string DispatchExplain(const Call& call);

}  // namespace attend::ops
