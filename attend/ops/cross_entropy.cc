#include "attend/ops/cross_entropy.h"

#include <torch/csrc/autograd/custom_function.h>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/log_softmax.h>

#include <algorithm>

#include "attend/kernels/cross_entropy.h"
#include "attend/ops/first_derivative.h"
#include "attend/ops/optional.h"
#include "attend/ops/products.h"

namespace attend::ops {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kRowsPerTask = 16;

struct FusedCrossEntropy : torch::autograd::Function<FusedCrossEntropy> {
  static variable_list forward(AutogradContext* ctx, const Tensor& states, const Tensor& weight, const std::optional<Tensor>& bias,
                               const Tensor& target_in, double smoothing) {
    const Tensor target = target_in.contiguous();
    const Tensor logits = Linear(states, weight, Undefined(bias));  // (M, V)
    const int64_t rows = logits.size(0), classes = logits.size(1);
    const auto in_range = [classes](int64_t t) { return t >= 0 && t < classes; };
    const int64_t* t = target.data_ptr<int64_t>();
    ATTEND_EXPECT(std::all_of(t, t + rows, in_range), "cross_entropy", "targets from 0 to ", classes - 1, "; found one outside");
    const Tensor loss = at::empty({rows}, logits.options()), nll = at::empty_like(loss), lse = at::empty_like(loss);
    at::parallel_for(0, rows, kRowsPerTask, [&](int64_t begin, int64_t end) {
      kernels::CrossEntropyForward(logits.data_ptr<float>(), classes, target.data_ptr<int64_t>(), static_cast<float>(smoothing), begin, end,
                                   loss.data_ptr<float>(), nll.data_ptr<float>(), lse.data_ptr<float>());
    });
    ctx->mark_non_differentiable({nll});
    ctx->saved_data["smoothing"] = smoothing;
    ctx->saved_data["bias"] = bias.has_value();
    ctx->saved_data["logits"] = logits;  // ours alone: not through save_for_backward, since the backward pass overwrites it
    ctx->save_for_backward({states, weight, target, lse});
    return {loss, nll};
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    ExpectFirstDerivative("cross_entropy");
    const auto kept = ctx->get_saved_variables();
    const Tensor &states = kept[0], &weight = kept[1], &target = kept[2], &lse = kept[3];
    const Tensor logits = ctx->saved_data["logits"].toTensor();
    ATTEND_EXPECT(logits.numel() || !states.size(0), "cross_entropy", "one backward pass; found a second one, and the logits are gone");
    ctx->saved_data["logits"] = Tensor(at::empty({0}, logits.options()));
    const Tensor g = grads[0].contiguous();
    const int64_t rows = logits.size(0), classes = logits.size(1);
    at::parallel_for(0, rows, kRowsPerTask, [&](int64_t begin, int64_t end) {
      kernels::CrossEntropyBackward(logits.data_ptr<float>(), classes, target.data_ptr<int64_t>(),
                                    static_cast<float>(ctx->saved_data["smoothing"].toDouble()), lse.data_ptr<float>(), g.data_ptr<float>(),
                                    begin, end);
    });
    Tensor dstates, dweight, dbias;
    const Tensor operand = Operand(logits);
    if (ctx->needs_input_grad(0)) dstates = Product(operand, Operand(weight));
    if (ctx->needs_input_grad(1)) dweight = Product(operand.t(), Operand(states));
    if (ctx->saved_data["bias"].toBool()) dbias = logits.sum(0);
    return {dstates, dweight, dbias, Tensor(), Tensor()};
  }
};

}  // namespace

CrossEntropyResult LinearCrossEntropy(const Tensor& states, const Tensor& weight, const Tensor& bias, const Tensor& target,
                                      double smoothing) {
  ATTEND_EXPECT(states.dim() == 2 && target.dim() == 1 && target.size(0) == states.size(0) && target.scalar_type() == at::kLong,
                "cross_entropy", "states (M, D) and target (M) int64; found ", states.sizes(), " and ", target.sizes(), " ",
                target.scalar_type());
  if (states.device().is_cpu() && states.scalar_type() == at::kFloat && weight.scalar_type() == at::kFloat) {
    const auto out = FusedCrossEntropy::apply(states.contiguous(), weight, Optional(bias), target, smoothing);
    return {out[0], out[1]};
  }
  const Tensor log_probs = at::log_softmax(Linear(states, weight, bias), -1);
  const Tensor nll = -log_probs.gather(1, target.unsqueeze(1)).squeeze(1);
  return {(1 - smoothing) * nll - smoothing * log_probs.mean(-1), nll.detach()};
}

}  // namespace attend::ops
