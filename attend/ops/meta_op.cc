#include <ATen/ops/empty.h>

#include "attend/ops/check.h"
#include "attend/ops/operators.h"

namespace attend::ops {

// Shapes and dtypes of the results, without data.
void AttentionMeta(const c10::OperatorHandle&, torch::jit::Stack* stack) {
  const Call call = PopCall(*stack);
  const Shape s = Check(call);
  const auto low = call.value.options(), exact = low.dtype(s.compute);
  Outputs out;
  out.output = at::empty_symint({s.batch, s.heads, s.queries, s.value_dim}, low);
  out.weights = call.need_weights ? at::empty_symint({s.batch, s.heads, s.queries, s.keys}, low) : at::empty({0}, low);
  out.lse = call.return_lse ? at::empty_symint({s.batch, s.heads, s.queries}, exact) : at::empty({0}, exact);
  const std::vector<c10::SymInt> sampled =
      call.return_sample ? std::vector<c10::SymInt>{s.batch, s.heads, s.queries} : std::vector<c10::SymInt>{0};
  out.sample = at::empty_symint(sampled, low.dtype(at::kLong));
  out.sample_logp = at::empty_symint(sampled, exact);
  Push(*stack, out);
}

void AttentionBackwardMeta(const c10::OperatorHandle&, torch::jit::Stack* stack) {
  const BackwardCall b = PopBackwardCall(*stack);
  Check(b.call);
  Gradients out;
  for (int g = 0; g < kGradients; g++) {
    const at::Tensor& input = Differentiable(b.call, static_cast<Gradient>(g));
    out[g] = b.needs[g] && input.defined() ? at::empty_symint(input.sym_sizes(), input.options()) : at::empty({0}, b.call.value.options());
  }
  Push(*stack, out);
}

}  // namespace attend::ops
