// The matrix product of attention's tiles, per instruction-set target.
#if defined(ATTEND_KERNELS_ATTENTION_MULTIPLY_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTEND_KERNELS_ATTENTION_MULTIPLY_INL_H_
#undef ATTEND_KERNELS_ATTENTION_MULTIPLY_INL_H_
#else
#define ATTEND_KERNELS_ATTENTION_MULTIPLY_INL_H_
#endif

#include <algorithm>

#include "attend/kernels/attention/visibility.h"
#include "hwy/highway.h"

#undef ATTEND_UNROLL
#define ATTEND_UNROLL _Pragma("GCC unroll 16")

HWY_BEFORE_NAMESPACE();
namespace attend::kernels::HWY_NAMESPACE {
namespace fused {
namespace hn = hwy::HWY_NAMESPACE;
using namespace attention;

using F = hn::CappedTag<float, 16>;
using V = hn::Vec<F>;
constexpr F df;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(df));
// A tile of sums that leaves registers for one row of b and an element of a: 24 of 32 with AVX-512, 12 of 16 elsewhere.
constexpr int kMultiplyRows = 6;
constexpr int kMultiplyVectors = HWY_TARGET <= HWY_AVX3 ? 4 : 2;

// Matrices lie in panels: 64 columns of all rows, then the next 64 (panels, rows, 64), so that every product reads and writes rows of 64.

// A matrix of which element (i, k - first) is data[i * row + k % 64 * step + k / 64 * panel].
struct Left {
  const float* data;
  int64_t row, step, panel = 0, first = 0;
};

// A matrix whose rows begin `step` apart.
struct Right {
  const float* data;
  int64_t step = kPanel;
};

template <int kRows, int kVectors>
HWY_INLINE void MultiplyTile(Left a, Right b, int64_t depth, float* HWY_RESTRICT c, bool add) {
  V sum[kRows][kVectors];
  const float* row[kRows];
  ATTEND_UNROLL for (int i = 0; i < kRows; i++) {
    row[i] = a.data + i * a.row;
    ATTEND_UNROLL for (int v = 0; v < kVectors; v++) sum[i][v] = add ? hn::LoadU(df, c + i * kPanel + v * kLanes) : hn::Zero(df);
  }
  const float* HWY_RESTRICT right = b.data;
  for (int64_t k = a.first, end = a.first + depth, panel = 0; k < end; panel += a.panel) {
    const int64_t until = std::min(end, k / kPanel * kPanel + kPanel);
    for (int64_t at = panel + k % kPanel * a.step; k < until; k++, at += a.step, right += b.step) {
      V w[kVectors];
      ATTEND_UNROLL for (int v = 0; v < kVectors; v++) w[v] = hn::LoadU(df, right + v * kLanes);
      ATTEND_UNROLL for (int i = 0; i < kRows; i++) {
        const V x = hn::Set(df, row[i][at]);
        ATTEND_UNROLL for (int v = 0; v < kVectors; v++) sum[i][v] = hn::MulAdd(x, w[v], sum[i][v]);
      }
    }
  }
  ATTEND_UNROLL for (int i = 0; i < kRows; i++) ATTEND_UNROLL for (int v = 0; v < kVectors; v++)
      hn::StoreU(sum[i][v], df, c + i * kPanel + v * kLanes);
}

template <int kVectors>
HWY_INLINE void MultiplyRows(Left a, int64_t rows, Right b, int64_t depth, float* c, bool add) {
  int64_t i = 0;
  for (; i + kMultiplyRows <= rows; i += kMultiplyRows)
    MultiplyTile<kMultiplyRows, kVectors>({a.data + i * a.row, a.row, a.step, a.panel, a.first}, b, depth, c + i * kPanel, add);
  const Left rest{a.data + i * a.row, a.row, a.step, a.panel, a.first};
  float* to = c + i * kPanel;
  switch (rows - i) {
    case 5:
      return MultiplyTile<5, kVectors>(rest, b, depth, to, add);
    case 4:
      return MultiplyTile<4, kVectors>(rest, b, depth, to, add);
    case 3:
      return MultiplyTile<3, kVectors>(rest, b, depth, to, add);
    case 2:
      return MultiplyTile<2, kVectors>(rest, b, depth, to, add);
    case 1:
      return MultiplyTile<1, kVectors>(rest, b, depth, to, add);
    default:
      return;
  }
}

// c (rows, 64), or its first `columns` rounded up to vectors, = or += a (rows, depth) times b (depth, 64).
inline HWY_NOINLINE void Multiply(Left a, int64_t rows, Right b, int64_t depth, int64_t columns, float* c, bool add) {
  int64_t v = 0;
  const int64_t vectors = (columns + kLanes - 1) / kLanes;
  for (; v + kMultiplyVectors <= vectors; v += kMultiplyVectors)
    MultiplyRows<kMultiplyVectors>(a, rows, {b.data + v * kLanes, b.step}, depth, c + v * kLanes, add);
  if (kMultiplyVectors == 4 && vectors - v >= 2) {
    MultiplyRows<2>(a, rows, {b.data + v * kLanes, b.step}, depth, c + v * kLanes, add);
    v += 2;
  }
  if (v < vectors) MultiplyRows<1>(a, rows, {b.data + v * kLanes, b.step}, depth, c + v * kLanes, add);
}

}  // namespace fused
}  // namespace attend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
