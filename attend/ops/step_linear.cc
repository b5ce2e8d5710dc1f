#include "attend/ops/step_linear.h"

#include <torch/csrc/autograd/custom_function.h>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include "attend/ops/first_derivative.h"
#include "attend/ops/optional.h"
#include "attend/ops/products.h"

namespace attend::ops {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What the uses of one weight leave behind in the backward pass.
struct Uses : torch::CustomClassHolder {
  explicit Uses(const Tensor& weight) : forward(weight), backward(weight.t()) {}
  RepeatedLinear forward, backward;
  std::vector<Tensor> x, dy;      // operands
  std::vector<Tensor> biased_dy;  // of the uses without an addend: only these see the bias
};

c10::intrusive_ptr<Uses> UsesOf(AutogradContext* ctx) {
  return c10::static_intrusive_pointer_cast<Uses>(ctx->saved_data["uses"].toCapsule());
}

// Sits between the weight and its uses: its backward runs after that of every use.
struct Anchor : torch::autograd::Function<Anchor> {
  static Tensor forward(AutogradContext* ctx, const Tensor& weight, const std::optional<Tensor>&, const c10::intrusive_ptr<Uses>& uses) {
    ctx->set_materialize_grads(false);
    ctx->saved_data["uses"] = c10::IValue::make_capsule(uses);
    return at::empty({0}, weight.options());
  }
  static variable_list backward(AutogradContext* ctx, const variable_list&) {
    ExpectFirstDerivative("step_linear");
    const auto uses = UsesOf(ctx);
    Tensor weight, bias;
    if (!uses->x.empty()) weight = Product(at::cat(uses->dy).t(), at::cat(uses->x));
    if (!uses->biased_dy.empty()) bias = at::cat(uses->biased_dy).sum(0);
    uses->x.clear();
    uses->dy.clear();
    uses->biased_dy.clear();
    return {weight, bias, Tensor()};
  }
};

struct Use : torch::autograd::Function<Use> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x_in, const std::optional<Tensor>& addend, const Tensor&, const Tensor& weight,
                        const std::optional<Tensor>& bias, const c10::intrusive_ptr<Uses>& uses) {
    const Tensor x = Operand(x_in);
    ctx->save_for_backward({x, weight});
    ctx->saved_data["uses"] = c10::IValue::make_capsule(uses);
    ctx->saved_data["addend"] = addend.has_value();
    ctx->saved_data["bias"] = bias.has_value();
    Tensor out = ProductRoom(x, weight.size(0));
    uses->forward.Add(out, Undefined(addend ? addend : bias), x);
    return out;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    ExpectFirstDerivative("step_linear");
    const auto saved = ctx->get_saved_variables();
    const Tensor dy = grads[0].contiguous();
    const Tensor operand = Operand(dy);
    const bool addend = ctx->saved_data["addend"].toBool();
    // Nothing is noted in a pass that does not ask for the weight: the anchor would not run, and a later pass would find the notes.
    if (ctx->needs_input_grad(addend ? 2 : 1)) {
      const auto uses = UsesOf(ctx);
      uses->x.push_back(saved[0]);
      uses->dy.push_back(operand);
      if (!addend && ctx->saved_data["bias"].toBool()) uses->biased_dy.push_back(dy);
    }
    Tensor dx;
    if (ctx->needs_input_grad(0)) {
      dx = ProductRoom(operand, saved[1].size(1));
      UsesOf(ctx)->backward.Add(dx, {}, operand);
    }
    return {dx, addend ? dy : Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

StepLinear::StepLinear(const Tensor& weight, const Tensor& bias) : weight_(weight), bias_(bias) {
  if (!at::GradMode::is_enabled() || !weight.requires_grad()) {
    weight_ = Operand(weight);
    return;
  }
  // The uses see the values only: their gradient goes through the anchor.
  weight_ = Operand(weight.detach());
  if (bias.defined()) bias_ = bias.detach();
  auto uses = c10::make_intrusive<Uses>(weight_);
  anchor_ = Anchor::apply(weight, Optional(bias), uses);
  uses_ = uses;
}

Tensor StepLinear::operator()(const Tensor& x, const Tensor& addend) const {
  if (!anchor_.defined()) {
    if (!at::GradMode::is_enabled()) {
      const Tensor operand = Operand(x);
      Tensor out = ProductRoom(operand, weight_.size(0));
      AddLinear(out, addend.defined() ? addend : bias_, operand, weight_);
      return out;
    }
    return addend.defined() ? addend + Linear(x, weight_) : Linear(x, weight_, bias_);
  }
  return Use::apply(x, Optional(addend), anchor_, weight_, Optional(bias_), c10::static_intrusive_pointer_cast<Uses>(uses_));
}

}  // namespace attend::ops
