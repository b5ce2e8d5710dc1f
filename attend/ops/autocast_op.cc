#include <ATen/autocast_mode.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include "attend/ops/operators.h"

namespace attend::ops {
namespace {

// Query, key, value, scores and bias go to the low type; param, lse and the arithmetic stay as they are.
void InLowPrecision(const c10::OperatorHandle& op, torch::jit::Stack* stack, c10::DispatchKey key) {
  Call call = PopCall(*stack);
  const c10::impl::ExcludeDispatchKeyGuard below(key);
  const c10::DeviceType device = call.value.device().type();
  const at::ScalarType low = at::autocast::get_lower_precision_fp_from_device_type(device);
  for (at::Tensor* t : {&call.query, &call.key, &call.value, &call.scores, &call.attn_bias})
    if (t->defined()) *t = at::autocast::cached_cast(low, *t, device);
  Push(*stack, call);
  op.callBoxed(stack);
}

}  // namespace

void AttentionAutocastCpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  InLowPrecision(op, stack, c10::DispatchKey::AutocastCPU);
}
void AttentionAutocastCuda(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  InLowPrecision(op, stack, c10::DispatchKey::AutocastCUDA);
}

}  // namespace attend::ops
