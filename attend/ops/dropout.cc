#include "attend/ops/dropout.h"

#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "attend/kernels/dropout.h"
#include "attend/ops/check.h"
#include "attend/ops/philox.h"

namespace attend::ops {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kDropout = "dropout";

void CheckDropout(const Tensor& x, const Tensor& row_keys, double p) {
  ATTEND_EXPECT(x.dim() == 2 || x.dim() == 3, kDropout, "x (B, C) or (B, T, C); found ", x.sym_sizes());
  ATTEND_EXPECT(at::isFloatingType(x.scalar_type()), kDropout, "floats; found ", x.scalar_type());
  ATTEND_EXPECT(row_keys.dim() == 1 && row_keys.sym_size(0) == x.sym_size(0) && row_keys.scalar_type() == at::kLong, kDropout, "row_keys (",
                x.sym_size(0), ") int64; found ", row_keys.sym_sizes(), " ", row_keys.scalar_type());
  ATTEND_EXPECT(p >= 0 && p <= 1, kDropout, "p from 0 to 1; found ", p);
}

void DropRow(const float* x, const uint16_t* draws, int64_t n, const random::Dropout& dropout, float* y) {
  kernels::ApplyDropout(x, draws, n, dropout.threshold, dropout.scale, y);
}
template <class T>
void DropRow(const T* x, const uint16_t* draws, int64_t n, const random::Dropout& dropout, T* y) {
  const at::opmath_type<T> scale = dropout.scale;
  for (int64_t c = 0; c < n; c++) y[c] = draws[c] >= dropout.threshold ? static_cast<T>(x[c] * scale) : T(0);
}

Tensor OnCpu(const Tensor& x, const Tensor& row_keys, double p, int64_t stream, int64_t position_offset, bool locked) {
  CheckDropout(x, row_keys, p);
  const Tensor in = x.contiguous(), keys = row_keys.contiguous();
  Tensor out = at::empty_like(in);
  const int64_t channels = in.size(-1), positions = in.dim() == 3 ? in.size(1) : 1;
  const random::Dropout dropout(p);
  const int64_t* key = keys.const_data_ptr<int64_t>();
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, in.scalar_type(), "dropout", [&] {
    const scalar_t* from = in.const_data_ptr<scalar_t>();
    scalar_t* to = out.mutable_data_ptr<scalar_t>();
    const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(channels, 1)), blocks = (channels + 7) / 8;
    at::parallel_for(0, in.size(0) * positions, grain, [&](int64_t begin, int64_t end) {
      std::vector<uint16_t> draws(static_cast<size_t>(8 * blocks));
      for (int64_t row = begin; row < end; row++) {
        const auto position = static_cast<uint32_t>(position_offset + (locked ? 0 : row % positions));
        kernels::DropoutDraws(static_cast<uint64_t>(key[row / positions]), position, 0, static_cast<uint32_t>(stream), blocks,
                              draws.data());
        DropRow(from + row * channels, draws.data(), channels, dropout, to + row * channels);
      }
    });
  });
  return out;
}

// The same bits by tensor operations.
Tensor ComposedDropout(const Tensor& x, const Tensor& row_keys, double p, int64_t stream, int64_t position_offset, bool locked) {
  CheckDropout(x, row_keys, p);
  const int64_t channels = x.size(-1), positions = x.dim() == 3 && !locked ? x.size(1) : 1;
  const auto exact = x.options().dtype(x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  const Tensor offset = at::full({}, position_offset, exact.dtype(at::kLong));
  Tensor factors = ComposedDropoutFactors(row_keys, offset, 1, positions, channels, stream, p, exact).squeeze(1);  // (B, T or 1, C)
  if (x.dim() == 2) factors = factors.squeeze(1);
  return at::where(factors == 0, at::zeros({}, exact), x.to(exact.dtype()) * factors).to(x.scalar_type());
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): the dispatcher takes kernels with a SymInt by value
Tensor OnMeta(const Tensor& x, const Tensor& row_keys, double p, int64_t, c10::SymInt, bool) {
  CheckDropout(x, row_keys, p);
  return at::empty_symint(x.sym_sizes(), x.options());
}

Tensor Dispatch(const Tensor& x, const Tensor& row_keys, double p, int64_t stream, c10::SymInt position_offset, bool locked) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("attend::dropout", "")
                             .typed<Tensor(const Tensor&, const Tensor&, double, int64_t, c10::SymInt, bool)>();
  return op.call(x, row_keys, p, stream, std::move(position_offset), locked);
}

// Linear in x, so its gradient is itself.
struct DropoutFunction : torch::autograd::Function<DropoutFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& row_keys, double p, int64_t stream,
                        const c10::SymInt& position_offset, bool locked) {
    const at::AutoDispatchBelowADInplaceOrView below;
    ctx->save_for_backward({row_keys});
    ctx->saved_data["scalars"] = c10::ivalue::Tuple::create({p, stream, position_offset, locked});
    return Dispatch(x, row_keys, p, stream, position_offset, locked);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto& s = ctx->saved_data["scalars"].toTupleRef().elements();
    const Tensor grad = Dispatch(grads[0], ctx->get_saved_variables()[0], s[0].toDouble(), s[1].toInt(), s[2].toSymInt(), s[3].toBool());
    return {grad, {}, {}, {}, {}, {}};
  }
};

Tensor WithGradient(const Tensor& x, const Tensor& row_keys, double p, int64_t stream, c10::SymInt position_offset, bool locked) {
  if (x.requires_grad() && at::GradMode::is_enabled()) return DropoutFunction::apply(x, row_keys, p, stream, position_offset, locked);
  const at::AutoDispatchBelowADInplaceOrView below;
  return Dispatch(x, row_keys, p, stream, std::move(position_offset), locked);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(attend, m) {
  m.def("dropout(Tensor x, Tensor row_keys, float p, int stream, SymInt position_offset, bool locked) -> Tensor");
}
TORCH_LIBRARY_IMPL(attend, CPU, m) { m.impl("dropout", OnCpu); }
TORCH_LIBRARY_IMPL(attend, CUDA, m) { m.impl("dropout", ComposedDropout); }
TORCH_LIBRARY_IMPL(attend, Meta, m) { m.impl("dropout", OnMeta); }
TORCH_LIBRARY_IMPL(attend, Autograd, m) { m.impl("dropout", WithGradient); }

at::Tensor dropout(const at::Tensor& x, const at::Tensor& row_keys, double p, int64_t stream, int64_t position_offset) {
  return p == 0 ? x : Dispatch(x, row_keys, p, stream, position_offset, false);
}

at::Tensor locked_dropout(const at::Tensor& x, const at::Tensor& row_keys, double p, int64_t stream) {
  return p == 0 ? x : Dispatch(x, row_keys, p, stream, 0, true);
}

}  // namespace attend::ops
