#include "attend/ops/step_attention.h"

#include <torch/csrc/autograd/custom_function.h>

#include <ATen/autocast_mode.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <vector>

#include "attend/ops/first_derivative.h"
#include "attend/ops/operators.h"
#include "attend/ops/optional.h"

namespace attend::ops {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kPart = "step_attention";

// What a step leaves behind in the backward pass.
struct Step {
  int64_t position = 0;
  Tensor query, output, lse, grad;
};

struct Steps : torch::CustomClassHolder {
  explicit Steps(Call every) : call(std::move(every)) {}
  Call call;  // without the query and its position; it sees the values only
  std::vector<Step> noted;

  // The call of queries from a position on.
  Call From(const Tensor& query, int64_t position) const {
    Call one = call;
    one.query = query;
    if (position) one.query_offset = Number(position);
    return one;
  }
  BackwardCall Backward(const Step& s) const {
    BackwardCall b;
    b.call = From(s.query, s.position);
    b.grad_output = s.grad;
    b.output = s.output;
    b.lse = s.lse;
    return b;
  }
};

c10::intrusive_ptr<Steps> StepsOf(AutogradContext* ctx) {
  return c10::static_intrusive_pointer_cast<Steps>(ctx->saved_data["steps"].toCapsule());
}

// Steps at neighbouring positions as one.
std::vector<Step> Together(std::vector<Step> steps) {
  std::stable_sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) { return a.position < b.position; });
  std::vector<Step> out;
  for (size_t begin = 0, end = 0; begin < steps.size(); begin = end) {
    for (end = begin + 1; end < steps.size() && steps[end].position == steps[end - 1].position + 1;) end++;
    const auto all = [&](Tensor Step::*of) {
      std::vector<Tensor> parts;
      for (size_t i = begin; i < end; i++) parts.push_back(steps[i].*of);
      return at::cat(parts, 2);
    };
    out.push_back({steps[begin].position, all(&Step::query), all(&Step::output), all(&Step::lse), all(&Step::grad)});
  }
  return out;
}

// Sits between what the steps read and the steps: its backward runs after that of every step.
struct Anchor : torch::autograd::Function<Anchor> {
  static Tensor forward(AutogradContext* ctx, const Tensor& key, const Tensor&, const std::optional<Tensor>&,
                        const c10::intrusive_ptr<Steps>& steps) {
    ctx->set_materialize_grads(false);
    ctx->saved_data["steps"] = c10::IValue::make_capsule(steps);
    return at::empty({0}, key.options());
  }
  static variable_list backward(AutogradContext* ctx, const variable_list&) {
    ExpectFirstDerivative(kPart);
    const auto steps = StepsOf(ctx);
    const std::vector<Step> all = Together(std::move(steps->noted));
    steps->noted.clear();
    constexpr Gradient kOf[] = {kKey, kValue, kParam};
    variable_list out(4);
    for (const Step& s : all) {
      BackwardCall b = steps->Backward(s);
      size_t edge = 0;
      for (Gradient g : kOf) b.needs[g] = Differentiable(b.call, g).defined() && ctx->needs_input_grad(edge++);
      const Gradients found = Dispatch(b);
      for (size_t i = 0; i < std::size(kOf); i++)
        if (b.needs[kOf[i]]) out[i] = out[i].defined() ? out[i] + found[kOf[i]] : found[kOf[i]];
    }
    return out;
  }
};

struct Use : torch::autograd::Function<Use> {
  static Tensor forward(AutogradContext* ctx, const Tensor& query, const Tensor&, int64_t position,
                        const c10::intrusive_ptr<Steps>& steps) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const Outputs o = Dispatch(steps->From(query, position));
    ctx->save_for_backward({query, o.output, o.lse});
    ctx->saved_data["steps"] = c10::IValue::make_capsule(steps);
    ctx->saved_data["position"] = position;
    ctx->set_materialize_grads(false);
    return o.output;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    ExpectFirstDerivative(kPart);
    variable_list out(4);
    if (!grads[0].defined()) return out;
    const variable_list saved = ctx->get_saved_variables();
    const auto steps = StepsOf(ctx);
    const Step step{ctx->saved_data["position"].toInt(), saved[0], saved[1], saved[2], grads[0]};
    // Nothing is noted in a pass that does not ask for it: the anchor would not run, and a later pass would find the notes.
    if (ctx->needs_input_grad(1)) steps->noted.push_back(step);
    if (!ctx->needs_input_grad(0)) return out;
    BackwardCall b = steps->Backward(step);
    b.needs[kQuery] = true;
    out[0] = Dispatch(b)[kQuery];
    return out;
  }
};

bool Tracked(const Tensor& t) { return t.defined() && t.requires_grad(); }

}  // namespace

bool StepAttention::Serves(const PreparedKey& key, const Tensor& value, const AttentionArgs& a) {
  if (!at::GradMode::is_enabled() || !(Tracked(key.key) || Tracked(value) || Tracked(key.param))) return false;
  for (const Tensor* t : {&a.scores, &a.attn_mask, &a.attn_bias, &a.alibi_slopes, &a.centers, &a.query_lengths, &a.cu_seqlens_q,
                          &a.cu_seqlens_k, &a.key_rows, &a.query_offset})
    if (t->defined()) return false;
  const auto is_single = [](const Tensor& t) { return t.scalar_type() == at::kFloat; };
  const bool single = key.key.defined() && is_single(key.key) && is_single(value) && (!key.param.defined() || is_single(key.param));
  return single && value.is_cpu() && !at::autocast::is_autocast_enabled(at::kCPU) && a.normaliser == "softmax" && a.readout == "soft" &&
         !a.need_weights && !a.return_lse && !a.return_sample;
}

StepAttention::StepAttention(const PreparedKey& key, const Tensor& value, const AttentionArgs& args) : key_(key), value_(value) {
  ATTEND_EXPECT(Serves(key, value, args), kPart, "steps that can wait for each other; found others");
  Call call = MakeCall({}, key.key.detach(), value.detach(), args);
  if (key.param.defined()) call.param = key.param.detach();
  call.prepared = key.packed;
  call.return_lse = true;
  auto steps = c10::make_intrusive<Steps>(std::move(call));
  anchor_ = Anchor::apply(key.key, value, Optional(key.param), steps);
  steps_ = steps;
}

Tensor StepAttention::operator()(const Tensor& query, int64_t position) const {
  return Use::apply(query, anchor_, position, c10::static_intrusive_pointer_cast<Steps>(steps_));
}

}  // namespace attend::ops
