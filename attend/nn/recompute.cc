#include "attend/nn/recompute.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>

namespace attend::nn {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Work : torch::CustomClassHolder {
  std::function<Tensor(const std::vector<Tensor>&)> f;
  std::vector<Tensor> inputs, parameters;
};

struct Again : torch::autograd::Function<Again> {
  // tensors: inputs, then parameters.
  static Tensor forward(AutogradContext* ctx, at::TensorList, const c10::intrusive_ptr<Work>& work) {
    ctx->set_materialize_grads(false);
    ctx->saved_data["work"] = c10::IValue::make_capsule(work);
    // Computed as the backward pass will, so that both see the same bits: layers go other ways where nothing is recorded.
    const at::AutoGradMode record(true);
    return work->f(work->inputs).detach();
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto work = c10::static_intrusive_pointer_cast<Work>(ctx->saved_data["work"].toCapsule());
    const size_t inputs = work->inputs.size(), all = inputs + work->parameters.size();
    variable_list out(all + 1);
    if (!grads[0].defined()) return out;
    const at::AutoGradMode record(true);
    std::vector<Tensor> leaves = work->inputs, of;
    std::vector<size_t> places;
    for (size_t i = 0; i < all; i++) {
      if (!ctx->needs_input_grad(i)) continue;
      if (i < inputs) leaves[i] = work->inputs[i].detach().requires_grad_();
      of.push_back(i < inputs ? leaves[i] : work->parameters[i - inputs]);
      places.push_back(i);
    }
    const variable_list found = torch::autograd::grad({work->f(leaves)}, of, {grads[0]}, /*retain_graph=*/false, /*create_graph=*/false,
                                                      /*allow_unused=*/true);
    for (size_t k = 0; k < places.size(); k++) out[places[k]] = found[k];
    ctx->saved_data.clear();  // what torch keeps until the loss is dropped
    return out;
  }
};

}  // namespace

Tensor Recomputed(std::function<Tensor(const std::vector<Tensor>&)> f, const std::vector<Tensor>& inputs,
                  const std::vector<Tensor>& parameters) {
  if (!at::GradMode::is_enabled()) return f(inputs);
  auto work = c10::make_intrusive<Work>();
  work->f = std::move(f);
  for (const Tensor& t : inputs) work->inputs.push_back(t.detach());
  work->parameters = parameters;
  std::vector<Tensor> all = inputs;
  all.insert(all.end(), parameters.begin(), parameters.end());
  return Again::apply(at::TensorList(all), work);
}

}  // namespace attend::nn
