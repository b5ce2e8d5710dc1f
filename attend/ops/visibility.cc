#include "attend/ops/visibility.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>

#include "attend/ops/supports.inc"

namespace attend::ops {

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
  const auto restrict = [&](at::Tensor more) { visible = visible.defined() ? visible.logical_and(more) : std::move(more); };
  if (c.key_lengths.defined()) restrict(at.Key().lt(c.key_lengths.to(c.value.device()).view({-1, 1, 1, 1})));
  if (c.is_causal) restrict(at.Key().le(at.Query()));
#define ATTEND_SUPPORT(name, options, ...) \
  if (ComposedSupport<spec::options>::Asked(c)) restrict(ComposedSupport<spec::options>::Visible(c, at));
#include "attend/spec/supports.def"
#undef ATTEND_SUPPORT
  if (c.query_lengths.defined())
    restrict(at::arange(queries, c.query_lengths.options().device(c.value.device()))
                 .view({1, 1, -1, 1})
                 .lt(c.query_lengths.to(c.value.device()).view({-1, 1, 1, 1})));
  if (c.attn_mask.defined()) restrict(c.attn_mask);
  return visible.defined() ? visible.logical_not() : visible;
}

}  // namespace attend::ops
