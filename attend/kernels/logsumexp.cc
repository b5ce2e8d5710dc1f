#include "attend/kernels/logsumexp.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attend/kernels/logsumexp.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "attend/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attend::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using F = hn::ScalableTag<float>;
using V = hn::Vec<F>;
constexpr F df;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(df));

// The `left` (< lanes) elements at x, then `fill`.
HWY_INLINE V LoadTail(const float* x, int64_t left, float fill) {
#if HWY_MEM_OPS_MIGHT_FAULT  // there a masked load reads the whole vector
  HWY_ALIGN float padded[kLanes];
  for (int64_t i = 0; i < kLanes; i++) padded[i] = i < left ? x[i] : fill;
  return hn::Load(df, padded);
#else
  const auto mask = hn::FirstN(df, static_cast<size_t>(left));
  return hn::IfThenElse(mask, hn::MaskedLoad(mask, df, x), hn::Set(df, fill));
#endif
}

void BlockMax(const float* x, int64_t n, float* top) {
  for (int64_t begin = 0, b = 0; begin < n; begin += kRowBlock, b++) {
    const int64_t end = std::min(n, begin + kRowBlock);
    V best0 = hn::Set(df, -INFINITY), best1 = best0;
    int64_t j = begin;
    for (; j + 2 * kLanes <= end; j += 2 * kLanes) {
      best0 = hn::Max(best0, hn::LoadU(df, x + j));
      best1 = hn::Max(best1, hn::LoadU(df, x + j + kLanes));
    }
    for (; j + kLanes <= end; j += kLanes) best0 = hn::Max(best0, hn::LoadU(df, x + j));
    if (j < end) best1 = hn::Max(best1, LoadTail(x + j, end - j, -INFINITY));
    top[b] = hn::GetLane(hn::MaxOfLanes(df, hn::Max(best0, best1)));
  }
}

// e^x for x <= 0, 0 below -87; NaN stays NaN.
HWY_INLINE V Term(V x) { return hn::IfThenZeroElse(hn::Lt(x, hn::Set(df, -87.0f)), Exp(df, x)); }

void BlockSumExp(const float* x, int64_t n, float shift, float scale, float* sum) {
  const V s = hn::Set(df, shift), c = hn::Set(df, scale);
  for (int64_t begin = 0, b = 0; begin < n; begin += kRowBlock, b++) {
    const int64_t end = std::min(n, begin + kRowBlock);
    V sum0 = hn::Zero(df), sum1 = sum0;
    int64_t j = begin;
    for (; j + 2 * kLanes <= end; j += 2 * kLanes) {
      sum0 = hn::Add(sum0, Term(hn::Mul(hn::Sub(hn::LoadU(df, x + j), s), c)));
      sum1 = hn::Add(sum1, Term(hn::Mul(hn::Sub(hn::LoadU(df, x + j + kLanes), s), c)));
    }
    for (; j + kLanes <= end; j += kLanes) sum0 = hn::Add(sum0, Term(hn::Mul(hn::Sub(hn::LoadU(df, x + j), s), c)));
    if (j < end) {
      const auto mask = hn::FirstN(df, static_cast<size_t>(end - j));
      sum1 = hn::Add(sum1, hn::IfThenElseZero(mask, Term(hn::Mul(hn::Sub(LoadTail(x + j, end - j, shift), s), c))));
    }
    sum[b] = hn::GetLane(hn::SumOfLanes(df, hn::Add(sum0, sum1)));
  }
}

}  // namespace attend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attend::kernels {
HWY_EXPORT(BlockMax);
HWY_EXPORT(BlockSumExp);

void BlockMax(const float* x, int64_t n, float* top) { HWY_DYNAMIC_DISPATCH(BlockMax)(x, n, top); }
void BlockSumExp(const float* x, int64_t n, float shift, float scale, float* sum) {
  HWY_DYNAMIC_DISPATCH(BlockSumExp)(x, n, shift, scale, sum);
}
}  // namespace attend::kernels
#endif
