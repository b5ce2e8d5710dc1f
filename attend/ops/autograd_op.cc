#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "attend/ops/check.h"
#include "attend/ops/fused.h"
#include "attend/ops/operators.h"

namespace attend::ops {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using MaybeTensor = std::optional<Tensor>;

MaybeTensor Maybe(const Tensor& t) { return t.defined() ? MaybeTensor(t) : std::nullopt; }

Tensor OrNothing(const Tensor& t, bool wanted) { return wanted ? t : Tensor(); }

bool Chooses(const Call& call) {
  const auto readout = ChoiceNamed<OperatorReadout>(call.readout);
  return readout && TraitsOf(*readout).chooses;
}

// attention with its gradient, which is the operator attention_backward.
struct AttentionFunction : torch::autograd::Function<AttentionFunction> {
  // The optional tensors are those of `call` in the order of Gradient, named so that autograd sees them.
  static variable_list forward(AutogradContext* ctx, const MaybeTensor&, const MaybeTensor&, const MaybeTensor&, const MaybeTensor&,
                               const MaybeTensor&, const MaybeTensor&, const MaybeTensor&, const MaybeTensor&, const Call& call) {
    const at::AutoDispatchBelowADInplaceOrView below;
    Call run = call;
    // What the backward pass reads: all weights where it is composed, two numbers a query where it is fused.
    const bool fused = NotFused(call, Check(call)).empty(), streams = fused && call.normaliser == "softmax";
    run.need_weights = call.need_weights || (!fused && !call.cu_seqlens_q.defined());
    run.return_lse = call.return_lse || streams;
    run.return_sample = Chooses(call);
    const Outputs o = Dispatch(run);

    variable_list saved = call.Tensors();
    saved.push_back(OrNothing(o.output, streams));
    saved.push_back(OrNothing(o.weights, run.need_weights && !fused));
    saved.push_back(OrNothing(o.lse, streams));
    saved.push_back(OrNothing(o.sample, run.return_sample));
    ctx->save_for_backward(std::move(saved));
    ctx->saved_data["scalars"] = c10::ivalue::Tuple::create(call.Scalars());
    ctx->set_materialize_grads(false);

    const auto none = [&](const Tensor& t) { return at::empty({0}, t.options()); };
    const Tensor weights = call.need_weights || !run.need_weights ? o.weights : none(o.weights);
    const Tensor lse = call.return_lse || !run.return_lse ? o.lse : none(o.lse);
    const Tensor sample = call.return_sample ? o.sample : none(o.sample), logp = call.return_sample ? o.sample_logp : none(o.sample_logp);
    variable_list fixed = {sample};
    if (!call.return_sample) fixed.push_back(logp);
    if (!call.need_weights) fixed.push_back(weights);
    if (!call.return_lse) fixed.push_back(lse);
    ctx->mark_non_differentiable(fixed);
    return {o.output, weights, lse, sample, logp};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    variable_list out(kGradients + 1);
    if (!grads[0].defined() && !grads[1].defined() && !grads[2].defined() && !grads[4].defined()) return out;
    variable_list saved = ctx->get_saved_variables();
    BackwardCall b;
    for (Tensor* t : {&b.sample, &b.lse, &b.weights, &b.output}) {
      *t = saved.back();
      saved.pop_back();
    }
    b.call.SetTensors(saved);
    b.call.SetScalars(ctx->saved_data["scalars"].toTupleRef().elements().vec());
    b.grad_output = grads[0];
    b.grad_weights = grads[1];
    b.grad_lse = grads[2];
    b.grad_sample_logp = grads[4];
    size_t edge = 0;
    for (int g = 0; g < kGradients; g++)
      b.needs[g] = Differentiable(b.call, static_cast<Gradient>(g)).defined() && ctx->needs_input_grad(edge++);
    const Gradients found = Dispatch(b);
    for (int g = 0; g < kGradients; g++)
      if (b.needs[g]) out[g] = found[g];
    return out;
  }
};

bool Tracked(const Tensor& t) { return t.defined() && t.requires_grad(); }

// A gradient with a history that refuses to be differentiated: without it second derivatives would silently be wrong.
struct OnceDifferentiable : torch::autograd::Function<OnceDifferentiable> {
  static variable_list forward(AutogradContext*, at::TensorList, const BackwardCall& b) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const Gradients out = Dispatch(b);
    return {out.begin(), out.end()};
  }
  static variable_list backward(AutogradContext*, const variable_list&) {
    ATTEND_EXPECT(false, "attention", "a first derivative; found a second one (double backward unsupported)");
  }
};

}  // namespace

void AttentionAutograd(const c10::OperatorHandle&, torch::jit::Stack* stack) {
  const Call call = PopCall(*stack);
  bool tracked = false;
  for (int g = 0; g < kGradients; g++) {
    const Tensor& t = Differentiable(call, static_cast<Gradient>(g));
    tracked = tracked || Tracked(t);
    ATTEND_EXPECT(!t.defined() || !t._fw_grad(0).defined(), "attention", "reverse-mode differentiation; found forward-mode tangents");
  }
  if (!tracked || !at::GradMode::is_enabled()) {
    const at::AutoDispatchBelowADInplaceOrView below;
    Push(*stack, Dispatch(call));
    return;
  }
  const variable_list out =
      AttentionFunction::apply(Maybe(call.query), Maybe(call.key), Maybe(call.value), Maybe(call.param), Maybe(call.scores),
                               Maybe(call.attn_bias), Maybe(call.alibi_slopes), Maybe(call.centers), call);
  Push(*stack, Outputs{out[0], out[1], out[2], out[3], out[4]});
}

void AttentionBackwardAutograd(const c10::OperatorHandle&, torch::jit::Stack* stack) {
  const BackwardCall b = PopBackwardCall(*stack);
  variable_list tracked;
  for (const Tensor* t : {&b.grad_output, &b.grad_weights, &b.grad_lse, &b.grad_sample_logp})
    if (Tracked(*t)) tracked.push_back(*t);
  for (int g = 0; g < kGradients; g++)
    if (Tracked(Differentiable(b.call, static_cast<Gradient>(g)))) tracked.push_back(Differentiable(b.call, static_cast<Gradient>(g)));
  if (tracked.empty() || !at::GradMode::is_enabled()) {
    const at::AutoDispatchBelowADInplaceOrView below;
    Push(*stack, Dispatch(b));
    return;
  }
  const variable_list out = OnceDifferentiable::apply(at::TensorList(tracked), b);
  Gradients gradients;
  std::copy(out.begin(), out.end(), gradients.begin());
  Push(*stack, gradients);
}

}  // namespace attend::ops
