#include "attend/ops/operators.h"

#include <torch/library.h>

#include "attend/ops/check.h"
#include "attend/ops/composed.h"
#include "attend/ops/fused.h"
#include "attend/ops/path.h"

namespace attend::ops {
namespace {

bool Fused(const Call& call) { return NotFused(call, Check(call)).empty(); }

void Attention(const c10::OperatorHandle&, torch::jit::Stack* stack) {
  const Call call = PopCall(*stack);
  Push(*stack, Fused(call) ? FusedForward(call) : ComposedForward(call));
}

void AttentionBackward(const c10::OperatorHandle&, torch::jit::Stack* stack) {
  const BackwardCall backward = PopBackwardCall(*stack);
  Push(*stack, Fused(backward.call) ? FusedBackward(backward) : ComposedBackward(backward));
}

void Explain(const c10::OperatorHandle&, torch::jit::Stack* stack) {
  const Call call = PopCall(*stack);
  stack->emplace_back(Path(call, Check(call)));
}

c10::OperatorHandle Find(const char* name) { return c10::Dispatcher::singleton().findSchemaOrThrow(name, ""); }

template <auto kernel>
torch::CppFunction Boxed() {
  return torch::CppFunction::makeFromBoxedFunction<kernel>();
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(attend, m) {
  m.def(("attention" + ForwardSchema()).c_str());
  m.def(("attention_backward" + BackwardSchema()).c_str());
  m.def(("explain" + ExplainSchema()).c_str());
}

TORCH_LIBRARY_IMPL(attend, CompositeImplicitAutograd, m) { m.impl("explain", Boxed<&Explain>()); }

TORCH_LIBRARY_IMPL(attend, CPU, m) {
  m.impl("attention", Boxed<&Attention>());
  m.impl("attention_backward", Boxed<&AttentionBackward>());
}

TORCH_LIBRARY_IMPL(attend, CUDA, m) {
  m.impl("attention", Boxed<&Attention>());
  m.impl("attention_backward", Boxed<&AttentionBackward>());
}

TORCH_LIBRARY_IMPL(attend, Meta, m) {
  m.impl("attention", Boxed<&AttentionMeta>());
  m.impl("attention_backward", Boxed<&AttentionBackwardMeta>());
}

TORCH_LIBRARY_IMPL(attend, Autograd, m) {
  m.impl("attention", Boxed<&AttentionAutograd>());
  m.impl("attention_backward", Boxed<&AttentionBackwardAutograd>());
}

TORCH_LIBRARY_IMPL(attend, AutocastCPU, m) { m.impl("attention", Boxed<&AttentionAutocastCpu>()); }
TORCH_LIBRARY_IMPL(attend, AutocastCUDA, m) { m.impl("attention", Boxed<&AttentionAutocastCuda>()); }

Outputs Dispatch(const Call& call) {
  static const c10::OperatorHandle op = Find("attend::attention");
  torch::jit::Stack stack;
  Push(stack, call);
  op.callBoxed(stack);
  return {stack[0].toTensor(), stack[1].toTensor(), stack[2].toTensor(), stack[3].toTensor(), stack[4].toTensor()};
}

Gradients Dispatch(const BackwardCall& backward) {
  static const c10::OperatorHandle op = Find("attend::attention_backward");
  torch::jit::Stack stack;
  Push(stack, backward);
  op.callBoxed(stack);
  Gradients out;
  for (size_t i = 0; i < kGradients; i++) out[i] = stack[i].toTensor();
  return out;
}

std::string DispatchExplain(const Call& call) {
  static const c10::OperatorHandle op = Find("attend::explain");
  torch::jit::Stack stack;
  Push(stack, call);
  op.callBoxed(stack);
  return stack[0].toStringRef();
}

}  // namespace attend::ops
