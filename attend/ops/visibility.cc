#include "attend/ops/visibility.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>

#include "attend/ops/supports.inc"

namespace attend::ops {
namespace {

void And(at::Tensor& visible, const at::Tensor& more) { visible = visible.defined() ? visible.logical_and(more) : more; }

// Restricts what is visible, or what is visible but for global keys, to what one support lets be seen.
template <class S>
void Restrict(const Call& c, Positions& at, at::Tensor& visible, at::Tensor& local) {
  if (!S::Asked(c)) return;
  if constexpr (requires { S::kSeesGlobalKeys; })
    And(visible, S::Visible(c, at));
  else
    And(local, S::Visible(c, at));
}

template <class S>
void Multiply(const Call& c, Positions& at, at::ScalarType type, at::Tensor& factors) {
  if constexpr (requires { S::Factors(c, at, type); })
    if (S::Asked(c)) factors = S::Factors(c, at, type);
}

}  // namespace

const at::Tensor& Positions::Query() {
  if (!query_.defined()) {
    query_ = at::arange(queries_, call_.value.options().dtype(at::kLong)).view({1, 1, -1, 1});
    if (call_.query_offset.defined()) query_ = query_ + call_.query_offset.to(query_.device()).view({-1, 1, 1, 1});
  }
  return query_;
}

const at::Tensor& Positions::Key() {
  if (!key_.defined()) key_ = at::arange(keys_, call_.value.options().dtype(at::kLong));
  return key_;
}

at::Tensor Invisible(const Call& c, int64_t queries, int64_t keys) {
  Positions at(c, queries, keys);
  at::Tensor visible;
  if (c.key_lengths.defined()) And(visible, at.Key().lt(c.key_lengths.to(c.value.device()).view({-1, 1, 1, 1})));
  if (c.is_causal) And(visible, at.Key().le(at.Query()));
  at::Tensor local;  // what global keys widen
#define ATTEND_SUPPORT(name, options, ...) Restrict<ComposedSupport<spec::options>>(c, at, visible, local);
#include "attend/spec/supports.def"
#undef ATTEND_SUPPORT
  if (local.defined() && c.global_keys.defined())
    local = local.logical_or(c.global_keys.dim() == 1 ? c.global_keys : c.global_keys.unsqueeze(1).unsqueeze(1));
  if (local.defined()) And(visible, local);
  if (c.query_lengths.defined())
    And(visible, at::arange(queries, c.query_lengths.options().device(c.value.device()))
                     .view({1, 1, -1, 1})
                     .lt(c.query_lengths.to(c.value.device()).view({-1, 1, 1, 1})));
  if (c.attn_mask.defined()) And(visible, c.attn_mask);
  return visible.defined() ? visible.logical_not() : visible;
}

at::Tensor Distances(const Call& c, int64_t queries, int64_t keys, at::ScalarType type) {
  Positions at(c, queries, keys);
  return (at.Key() - at.Query()).abs().to(type);
}

at::Tensor WeightFactors(const Call& c, int64_t queries, int64_t keys, at::ScalarType type) {
  Positions at(c, queries, keys);
  at::Tensor out;
#define ATTEND_SUPPORT(name, options, ...) Multiply<ComposedSupport<spec::options>>(c, at, type, out);
#include "attend/spec/supports.def"
#undef ATTEND_SUPPORT
  return out;
}

at::Tensor CentersBackward(const Call& c, int64_t queries, int64_t keys, const at::Tensor& factors, const at::Tensor& grad_factors) {
  Positions at(c, queries, keys);
  return ComposedSupport<spec::PredictiveSupport>::CentersBackward(c, at, factors, grad_factors);
}

}  // namespace attend::ops
