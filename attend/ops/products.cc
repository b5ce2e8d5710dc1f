#include "attend/ops/products.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/add.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

#include <atomic>

#include "attend/ops/frozen.h"

namespace attend::ops {
namespace {

using at::Tensor;

std::atomic<Products> setting = Products::exact;

bool Rounded(const Tensor& operand) { return operand.scalar_type() == at::kBFloat16; }

}  // namespace

void UseProducts(Products products) { setting = products; }

Tensor Operand(const Tensor& x) {
  const bool round = setting == Products::bf16 && x.scalar_type() == at::kFloat && x.device().is_cpu();
  return round ? x.to(at::kBFloat16) : x;
}

Tensor Product(const Tensor& a, const Tensor& b) {
  const Tensor out = at::mm(a, b);
  return Rounded(a) ? out.to(at::kFloat) : out;
}

void AddProduct(const Tensor& out, const Tensor& addend, const Tensor& a, const Tensor& b) {
  Tensor to = out;
  if (Rounded(a)) {
    at::add_out(to, at::mm(a, b).to(at::kFloat), addend);
  } else {
    at::addmm_out(to, addend, a, b);
  }
}

void AddLinear(const Tensor& out, const Tensor& addend, const Tensor& x, const Tensor& weight) {
  if (!Rounded(x) && AddFrozenLinear(out, addend, x, weight)) return;
  if (addend.defined()) return AddProduct(out, addend, x, weight.t());
  out.copy_(Product(x, weight.t()));
}

Tensor Linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const Tensor operand = Operand(x);
  if (operand.is_same(x)) {
    if (!Frozen(weight) || x.numel() == 0) return at::linear(x, weight, bias);
    std::vector<int64_t> sizes = x.sizes().vec();
    sizes.back() = weight.size(0);
    Tensor out = at::empty(sizes, x.options());
    AddLinear(out.view({-1, sizes.back()}), bias, x.reshape({-1, x.size(-1)}), weight);
    return out;
  }
  const Tensor out = at::linear(operand, Operand(weight)).to(at::kFloat);
  return bias.defined() ? out + bias : out;
}

}  // namespace attend::ops
