#include "attend/ops/products.h"

#include <torch/csrc/autograd/custom_function.h>

#include <ATen/TensorOperators.h>
#include <ATen/ops/add.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

#include <atomic>
#include <vector>

#include "attend/ops/first_derivative.h"
#include "attend/ops/frozen.h"
#include "attend/ops/optional.h"

namespace attend::ops {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

std::atomic<Products> setting = Products::exact;

bool Rounded(const Tensor& operand) { return operand.scalar_type() == at::kBFloat16; }

}  // namespace

void UseProducts(Products products) { setting = products; }

Tensor Operand(const Tensor& x) {
  const bool round = setting == Products::bf16 && x.scalar_type() == at::kFloat && x.device().is_cpu();
  return round ? x.to(at::kBFloat16) : x;
}

Tensor ProductRoom(const Tensor& x, int64_t outputs) {
  return at::empty({x.size(0), outputs}, x.options().requires_grad(false).dtype(Rounded(x) ? at::kFloat : x.scalar_type()));
}

Tensor Product(const Tensor& a, const Tensor& b) {
  if (OwnProducts(a) && OwnProducts(b)) {
    Tensor out = ProductRoom(a, b.size(1));
    AddOwnLinear(out, {}, a, b.t());
    return out;
  }
  const Tensor out = at::mm(a, b);
  return Rounded(a) ? out.to(at::kFloat) : out;
}

void AddLinear(const Tensor& out, const Tensor& addend, const Tensor& x, const Tensor& weight) {
  if (OwnProducts(x) && OwnProducts(weight)) {
    if (const auto copy = FrozenCopy(weight)) return copy->AddLinear(out, addend, x);
    return AddOwnLinear(out, addend, x, weight);
  }
  Tensor to = out;
  if (!addend.defined()) {
    to.copy_(Product(x, weight.t()));
  } else if (Rounded(x)) {
    at::add_out(to, Product(x, weight.t()), addend);
  } else {
    at::addmm_out(to, addend, x, weight.t());
  }
}

void RepeatedLinear::Add(const Tensor& out, const Tensor& addend, const Tensor& x) {
  if (!packed_ && OwnProducts(x) && OwnProducts(weight_)) {
    packed_ = FrozenCopy(weight_);
    if (!packed_) packed_ = std::make_shared<PackedWeight>(weight_);
  }
  if (packed_) return packed_->AddLinear(out, addend, x);
  AddLinear(out, addend, x, weight_);
}

namespace {

// x (M, K), weight (N, K), bias (N).
struct OwnLinear : torch::autograd::Function<OwnLinear> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias) {
    ctx->save_for_backward({x, weight});
    ctx->saved_data["bias"] = bias.has_value();  // an absent one is not counted among the inputs
    Tensor out = ProductRoom(x, weight.size(0));
    AddLinear(out, Undefined(bias), x, weight);
    return out;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    ExpectFirstDerivative("linear");
    const auto saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &dy = grads[0];
    Tensor dx, dweight, dbias;
    if (ctx->needs_input_grad(0)) dx = Product(dy, weight);
    if (ctx->needs_input_grad(1)) dweight = Product(dy.t(), x);
    if (ctx->saved_data["bias"].toBool() && ctx->needs_input_grad(2)) dbias = dy.sum(0);
    return {dx, dweight, dbias};
  }
};

}  // namespace

Tensor Linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const Tensor operand = Operand(x);
  if (!operand.is_same(x)) {
    const Tensor out = at::linear(operand, Operand(weight)).to(at::kFloat);
    return bias.defined() ? out + bias : out;
  }
  if (!x.is_cpu() || x.scalar_type() != at::kFloat || x.numel() == 0 || !OwnProducts(weight)) return at::linear(x, weight, bias);
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes.back() = weight.size(0);
  return OwnLinear::apply(x.reshape({-1, x.size(-1)}), weight, Optional(bias)).view(sizes);
}

}  // namespace attend::ops
