#include "attend/tasks/matmul.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/mm.h>

#include <chrono>

#include "attend/ops/products.h"

namespace attend::tasks {
namespace {

void Use(bool onednn) { at::globalContext().setFloat32MatmulPrecision(onednn ? "medium" : "highest"); }

struct Probe {
  double error;    // largest relative to the largest result
  double seconds;  // of one product
};

Probe Try(bool onednn) {
  Use(onednn);
  const int64_t n = 256;
  const at::Tensor a = at::arange(n * n, at::kFloat).mul(0.7310585).sin().view({n, n}),
                   b = at::arange(n * n, at::kFloat).mul(0.3571).cos().view({n, n});
  at::Tensor c = at::mm(a, b);
  double best = 1e9;
  for (int i = 0; i < 5; i++) {
    const auto start = std::chrono::steady_clock::now();
    c = at::mm(a, b);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  const at::Tensor exact = at::mm(a.to(at::kDouble), b.to(at::kDouble));
  return {((c.to(at::kDouble) - exact).abs().max() / exact.abs().max()).item<double>(), best};
}

}  // namespace

std::string ChooseMatrixProducts(train::Precision precision) {
  // For what torch itself multiplies: bfloat16 products and the batched ones of attention. The choice rests on what kind of CPU this is,
  // not on the timing, which differs from run to run: the same machine must always take the same path for the same bits.
  static const bool onednn = [] {
    if (__builtin_cpu_is("intel")) return false;
    return Try(true).error < 4e-6;
  }();
  Use(onednn);
  const bool instructions = __builtin_cpu_supports("avx512bf16");  // a CPU with AMX has them too
  if (precision == train::Precision::bf16 || (precision == train::Precision::automatic && instructions)) {
    ops::UseProducts(ops::Products::bf16);
    return std::string("bfloat16 operands, single-precision sums, through oneDNN") +
           (instructions ? "" : "; this CPU has no instructions for it, so it is slower than fp32");
  }
  ops::UseProducts(ops::Products::exact);
  return "exact single precision";
}

}  // namespace attend::tasks
