#include "attend/ops/composed_readout.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>

#include "attend/ops/readouts.inc"

namespace attend::ops {
namespace {

using at::Tensor;

// f of the readout chosen at run time.
template <class F>
auto Visit(OperatorReadout readout, F&& f) {
  switch (readout) {
#define ATTEND_OPERATOR_READOUT(name, help) \
  case OperatorReadout::name:               \
    return f(ComposedReadout<OperatorReadout::name>{});
#include "attend/ops/readouts.def"
#undef ATTEND_OPERATOR_READOUT
  }
  return f(ComposedReadout<OperatorReadout::soft>{});  // not reached: the list is complete
}

}  // namespace

std::span<const Choice> Choices(OperatorReadout) {
  static constexpr Choice kChoices[] = {
#define ATTEND_OPERATOR_READOUT(name, help) {#name, static_cast<int>(OperatorReadout::name), help},
#include "attend/ops/readouts.def"
#undef ATTEND_OPERATOR_READOUT
  };
  return kChoices;
}

ReadoutTraits TraitsOf(OperatorReadout readout) {
  return Visit(readout, [](auto r) {
    constexpr bool differentiates = requires(const ReadoutArgs& a, const Selection& s, const Tensor& t) { r.Backward(a, s, t); };
    return ReadoutTraits{r.kChooses, r.kDraws, r.kTemperature, differentiates};
  });
}

Selection Select(OperatorReadout readout, const ReadoutArgs& args) {
  return Visit(readout, [&](auto r) { return r.Forward(args); });
}

Tensor SelectBackward(OperatorReadout readout, const ReadoutArgs& args, const Selection& selection, const Tensor& grad_read) {
  return Visit(readout, [&](auto r) -> Tensor {
    if constexpr (requires { r.Backward(args, selection, grad_read); }) {
      return r.Backward(args, selection, grad_read);
    } else {
      return {};
    }
  });
}

Tensor Largest(const Tensor& values, const Tensor& weights) {
  if (weights.size(-1) == 0) return at::full(weights.sizes().slice(0, 3), -1, weights.options().dtype(at::kLong));
  return at::argmax(values, -1).masked_fill_(weights.amax(-1).eq(0), -1);
}

Tensor OneHot(const Tensor& index, const Tensor& weights) {
  const Tensor out = at::zeros_like(weights);
  if (weights.size(-1) == 0) return out;
  return out.scatter_(-1, index.clamp_min(0).unsqueeze(-1), index.ge(0).unsqueeze(-1).to(weights.scalar_type()));
}

Tensor LogWeight(const Tensor& weights, const Tensor& index) {
  if (weights.size(-1) == 0) return at::zeros(index.sizes(), weights.options());
  const Tensor chosen = weights.gather(-1, index.clamp_min(0).unsqueeze(-1)).squeeze(-1);
  return chosen.masked_fill(index.lt(0), 1).log_();
}

Tensor LogWeightBackward(const Tensor& weights, const Tensor& index, const Tensor& grad) {
  const Tensor out = at::zeros_like(weights);
  if (weights.size(-1) == 0) return out;
  const Tensor place = index.clamp_min(0).unsqueeze(-1);
  const Tensor chosen = weights.gather(-1, place).squeeze(-1);
  return out.scatter_(-1, place, (grad / chosen).masked_fill(index.lt(0).logical_or(chosen.eq(0)), 0).unsqueeze(-1));
}

}  // namespace attend::ops
