#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/stack.h>
#include <c10/core/SymInt.h>

#include <array>
#include <optional>
#include <string>

namespace attend::ops {

// The arguments of one call of attend::attention. An undefined tensor is an absent one.
struct Call {
#define ATTEND_TENSOR(name) at::Tensor name;
#define ATTEND_SCALAR(name, type, schema) type name{};
#include "attend/ops/call.def"

  // The tensors in schema order, and back.
  std::vector<at::Tensor> Tensors() const;
  void SetTensors(const std::vector<at::Tensor>& tensors);
  // The other arguments in schema order, and back.
  std::vector<c10::IValue> Scalars() const;
  void SetScalars(const std::vector<c10::IValue>& scalars);
};

// The inputs that receive a gradient, in the order in which attention_backward returns them.
enum Gradient { kQuery, kKey, kValue, kParam, kScores, kBias, kSlopes, kCenters, kGradients };
const at::Tensor& Differentiable(const Call& call, Gradient which);

// What attend::attention returns; shape (0) where not asked for.
struct Outputs {
  at::Tensor output, weights, lse, sample, sample_logp;
};

// The arguments of attend::attention_backward.
struct BackwardCall {
  at::Tensor grad_output, grad_weights, grad_lse, grad_sample_logp;  // each may be absent
  at::Tensor output, weights, lse, sample;                           // of the forward pass, each may be absent
  static constexpr size_t kOwn = 8;                                  // of them
  std::array<at::Tensor*, kOwn> Own() {
    return {&grad_output, &grad_weights, &grad_lse, &grad_sample_logp, &output, &weights, &lse, &sample};
  }
  std::array<const at::Tensor*, kOwn> Own() const {
    return {&grad_output, &grad_weights, &grad_lse, &grad_sample_logp, &output, &weights, &lse, &sample};
  }
  Call call;
  std::array<bool, kGradients> needs{};  // which gradients are wanted
};
using Gradients = std::array<at::Tensor, kGradients>;  // shape (0) where not wanted

// "(Tensor? query, …) -> (Tensor output, …)" without the operator's name.
std::string ForwardSchema();
std::string BackwardSchema();
std::string ExplainSchema();

// Takes the arguments off, or puts them on the stack of a boxed kernel.
Call PopCall(torch::jit::Stack& stack);
BackwardCall PopBackwardCall(torch::jit::Stack& stack);
void Push(torch::jit::Stack& stack, const Call& call);
void Push(torch::jit::Stack& stack, const BackwardCall& backward);
void Push(torch::jit::Stack& stack, const Outputs& outputs);
void Push(torch::jit::Stack& stack, const Gradients& gradients);

}  // namespace attend::ops
