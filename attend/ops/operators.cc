#include "attend/ops/operators.h"

#include <ATen/autocast_mode.h>
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

// attend::prepare(key, score, param): what is computed once for many queries, shape (0) where there is nothing. Without a history:
// gradients go to the key.
struct Prepare {
  static at::Tensor Cpu(const at::Tensor& key, std::string_view score, const std::optional<at::Tensor>& param) {
    CheckPrepare(key, std::string(score), param.value_or(at::Tensor()));
    return FusedPrepare(key, std::string(score));
  }
  // And of other devices, which read the key: what has the size is all that tracing may rely on.
  static at::Tensor Meta(const at::Tensor& key, std::string_view score, const std::optional<at::Tensor>& param) {
    CheckPrepare(key, std::string(score), param.value_or(at::Tensor()));
    return FusedPrepareMeta(key, std::string(score));
  }
  static at::Tensor Autograd(const at::Tensor& key, std::string_view score, const std::optional<at::Tensor>& param) {
    const at::AutoDispatchBelowADInplaceOrView below;
    return DispatchPrepare(key.detach(), std::string(score), param ? param->detach() : at::Tensor());
  }
  static at::Tensor AutocastCpu(const at::Tensor& key, std::string_view score, const std::optional<at::Tensor>& param) {
    const c10::impl::ExcludeDispatchKeyGuard below(c10::DispatchKey::AutocastCPU);
    const at::Tensor low = at::autocast::cached_cast(at::autocast::get_lower_precision_fp_from_device_type(at::kCPU), key, at::kCPU);
    return DispatchPrepare(low, std::string(score), param.value_or(at::Tensor()));  // as attention will find the key
  }
};

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
  m.def("prepare(Tensor key, str score, Tensor? param) -> Tensor");
}

TORCH_LIBRARY_IMPL(attend, CompositeImplicitAutograd, m) { m.impl("explain", Boxed<&Explain>()); }

TORCH_LIBRARY_IMPL(attend, CPU, m) {
  m.impl("prepare", &Prepare::Cpu);
  m.impl("attention", Boxed<&Attention>());
  m.impl("attention_backward", Boxed<&AttentionBackward>());
}

TORCH_LIBRARY_IMPL(attend, CUDA, m) {
  m.impl("prepare", &Prepare::Meta);
  m.impl("attention", Boxed<&Attention>());
  m.impl("attention_backward", Boxed<&AttentionBackward>());
}

TORCH_LIBRARY_IMPL(attend, Meta, m) {
  m.impl("prepare", &Prepare::Meta);
  m.impl("attention", Boxed<&AttentionMeta>());
  m.impl("attention_backward", Boxed<&AttentionBackwardMeta>());
}

TORCH_LIBRARY_IMPL(attend, Autograd, m) {
  m.impl("prepare", &Prepare::Autograd);
  m.impl("attention", Boxed<&AttentionAutograd>());
  m.impl("attention_backward", Boxed<&AttentionBackwardAutograd>());
}

TORCH_LIBRARY_IMPL(attend, AutocastCPU, m) {
  m.impl("attention", Boxed<&AttentionAutocastCpu>());
  m.impl("prepare", &Prepare::AutocastCpu);
}
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

at::Tensor DispatchPrepare(const at::Tensor& key, const std::string& score, const at::Tensor& param) {
  static const auto op = Find("attend::prepare").typed<at::Tensor(const at::Tensor&, std::string_view, const std::optional<at::Tensor>&)>();
  return op.call(key, score, param.defined() ? std::optional(param) : std::nullopt);
}

std::string DispatchExplain(const Call& call) {
  static const c10::OperatorHandle op = Find("attend::explain");
  torch::jit::Stack stack;
  Push(stack, call);
  op.callBoxed(stack);
  return stack[0].toStringRef();
}

}  // namespace attend::ops
