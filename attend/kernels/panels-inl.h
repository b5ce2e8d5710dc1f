// Laying matrices out for products, per instruction-set target. Include inside HWY_BEFORE_NAMESPACE's order, once per target.
#if defined(ATTEND_KERNELS_PANELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTEND_KERNELS_PANELS_INL_H_
#undef ATTEND_KERNELS_PANELS_INL_H_
#else
#define ATTEND_KERNELS_PANELS_INL_H_
#endif

#include <algorithm>

#include "attend/kernels/linear.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attend::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Inputs that LayOut takes of one row after the other, and fetches for later: whole lines, and few enough to stay in the first cache.
constexpr int64_t kStrip = 128;
// The same where a matrix lies by columns: what lies beside the columns taken is still in the first cache when its turn comes.
constexpr int64_t kFewColumns = 16;

// to[k * width + i] = m(i, k) for i < n, k in [from, end).
HWY_INLINE void LayOut(Matrix m, int64_t n, int64_t from, int64_t end, int64_t width, float* HWY_RESTRICT to) {
  int64_t k = from;
#if HWY_TARGET != HWY_SCALAR
  constexpr hn::FixedTag<float, 4> d;
  if (m.column == 1 && n >= 4) {
    for (const int64_t fours = end - (end - from) % 4; k < fours;) {
      const int64_t begin = k, until = std::min(fours, k + kStrip);
      for (int64_t i = 0; i < n; i += 4) {
        const int64_t at = std::min(i, n - 4);  // the last four rows may be had twice
        const float *r0 = m.data + at * m.row, *r1 = r0 + m.row, *r2 = r1 + m.row, *r3 = r2 + m.row;
        float* there = to + at;
        for (k = begin; k < until; k += 4) {
          if (k % 16 == 0)
            for (const float* r : {r0, r1, r2, r3}) __builtin_prefetch(r + k + kStrip, 0, 2);
          const auto a = hn::LoadU(d, r0 + k), b = hn::LoadU(d, r1 + k), c = hn::LoadU(d, r2 + k), e = hn::LoadU(d, r3 + k);
          const auto ab0 = hn::InterleaveLower(d, a, b), ab1 = hn::InterleaveUpper(d, a, b), ce0 = hn::InterleaveLower(d, c, e),
                     ce1 = hn::InterleaveUpper(d, c, e);
          hn::StoreU(hn::ConcatLowerLower(d, ce0, ab0), d, there + k * width);
          hn::StoreU(hn::ConcatUpperUpper(d, ce0, ab0), d, there + (k + 1) * width);
          hn::StoreU(hn::ConcatLowerLower(d, ce1, ab1), d, there + (k + 2) * width);
          hn::StoreU(hn::ConcatUpperUpper(d, ce1, ab1), d, there + (k + 3) * width);
        }
      }
    }
  } else if (m.row == 1 && n >= 4) {
    for (; k < end; k++) {
      const float* column = m.data + k * m.column;
      for (int64_t i = 0; i < n; i += 16) __builtin_prefetch(column + kFewColumns * m.column + i, 0, 2);
      for (int64_t i = 0; i < n; i += 4) {
        const int64_t at = std::min(i, n - 4);
        hn::StoreU(hn::LoadU(d, column + at), d, to + k * width + at);
      }
    }
  }
#endif
  for (; k < end; k++)
    for (int64_t i = 0; i < n; i++) to[k * width + i] = m.data[i * m.row + k * m.column];
}

}  // namespace attend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
