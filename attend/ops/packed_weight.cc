#include "attend/ops/packed_weight.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "attend/base/huge_pages.h"
#include "attend/kernels/linear.h"

namespace attend::ops {
namespace {

using at::Tensor;

// Multiplications for each piece of work that another thread may take.
constexpr int64_t kGrain = 1 << 20;

kernels::Matrix View(const Tensor& t) { return {t.const_data_ptr<float>(), t.stride(0), t.stride(1)}; }

// f(panels begin, end, addend, its stride), in parallel.
template <class F>
void ForPanels(const Tensor& addend, int64_t rows, int64_t inputs, int64_t outputs, const F& f) {
  const Tensor added = !addend.defined() || addend.stride(-1) == 1 ? addend : addend.contiguous();
  const int64_t stride = added.defined() && added.dim() == 2 ? added.stride(0) : 0;
  const float* data = added.defined() ? added.const_data_ptr<float>() : nullptr;
  const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, kernels::kLinearPanel * inputs * rows));
  at::parallel_for(0, kernels::LinearPanels(outputs), grain, [&](int64_t begin, int64_t end) { f(begin, end, data, stride); });
}

// Large ones in huge pages where the system has them: reading a vocabulary's weights from end to end is 5 to 10 % faster.
float* Allocate(size_t floats, bool lasting) {
  constexpr size_t kLine = 64;
  const size_t bytes = std::max<size_t>(1, floats) * sizeof(float), unit = lasting && bytes >= kHugePage ? kHugePage : kLine,
               size = (bytes + unit - 1) / unit * unit;
  auto* buffer = static_cast<float*>(std::aligned_alloc(unit, size));
  if (!buffer) throw std::bad_alloc();
  if (unit == kHugePage) AskForHugePages(buffer, size);
  return buffer;
}

}  // namespace

bool OwnProducts(const Tensor& matrix) { return matrix.dim() == 2 && matrix.device().is_cpu() && matrix.scalar_type() == at::kFloat; }

void AddOwnLinear(const Tensor& out, const Tensor& addend, const Tensor& x, const Tensor& weight) {
  const int64_t rows = x.size(0), inputs = weight.size(1), outputs = weight.size(0);
  ForPanels(addend, rows, inputs, outputs, [&](int64_t begin, int64_t end, const float* added, int64_t stride) {
    kernels::Linear(View(x), rows, inputs, View(weight), outputs, added, stride, begin, end, out.data_ptr<float>(), out.stride(0));
  });
}

void PackedWeight::Free::operator()(float* p) const { std::free(p); }

PackedWeight::PackedWeight(const Tensor& weight, bool lasting)
    : outputs_(weight.size(0)),
      inputs_(weight.size(1)),
      packed_(Allocate(static_cast<size_t>(kernels::LinearPanels(outputs_) * kernels::kLinearPanel * inputs_), lasting)) {
  ForPanels({}, 1, inputs_, outputs_, [&](int64_t begin, int64_t end, const float*, int64_t) {
    kernels::PackLinear(View(weight), outputs_, inputs_, begin, end, packed_.get());
  });
}

void PackedWeight::AddLinear(const Tensor& out, const Tensor& addend, const Tensor& x) const {
  const int64_t rows = x.size(0);
  ForPanels(addend, rows, inputs_, outputs_, [&](int64_t begin, int64_t end, const float* added, int64_t stride) {
    kernels::PackedLinear(View(x), rows, inputs_, packed_.get(), outputs_, added, stride, begin, end, out.data_ptr<float>(), out.stride(0));
  });
}

}  // namespace attend::ops
