// The matrix product of attention's tiles, per instruction-set target.
#if defined(ATTEND_KERNELS_ATTENTION_MULTIPLY_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTEND_KERNELS_ATTENTION_MULTIPLY_INL_H_
#undef ATTEND_KERNELS_ATTENTION_MULTIPLY_INL_H_
#else
#define ATTEND_KERNELS_ATTENTION_MULTIPLY_INL_H_
#endif

#include <algorithm>
#include <cstring>

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

// What a product does with its elements. Singles: one float each.
struct Singles {
  static constexpr int64_t kPer = 1;
  HWY_INLINE static V MulAdd(V a, V b, V sum) { return hn::MulAdd(a, b, sum); }
};

// The instructions are written out, as no target of Highway 1.0.3 has them; clang would want one that has.
#undef ATTEND_HAS_PAIRS
#if HWY_TARGET == HWY_AVX3 && defined(__GNUC__) && !defined(__clang__)
#define ATTEND_HAS_PAIRS 1
#else
#define ATTEND_HAS_PAIRS 0
#endif

// Two bfloat16 each, neighbours along the depth, the first in the lower half; only their bits are those of floats.
struct Pairs {
  static constexpr int64_t kPer = 2;
#if ATTEND_HAS_PAIRS
  static bool Serves(LowProducts wanted) { return wanted != LowProducts::never && __builtin_cpu_supports("avx512bf16"); }
  HWY_INLINE static V MulAdd(V a, V b, V sum) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
    return sum;
  }
#else
  static bool Serves(LowProducts wanted) { return wanted == LowProducts::always; }
  HWY_INLINE static V MulAdd(V a, V b, V sum) {
    const hn::RebindToUnsigned<F> du;
    const auto high = hn::Set(du, 0xffff0000u), x = hn::BitCast(du, a), y = hn::BitCast(du, b);
    sum = hn::MulAdd(hn::BitCast(df, hn::ShiftLeft<16>(x)), hn::BitCast(df, hn::ShiftLeft<16>(y)), sum);
    return hn::MulAdd(hn::BitCast(df, hn::And(x, high)), hn::BitCast(df, hn::And(y, high)), sum);
  }
#endif
};

#if ATTEND_HAS_PAIRS
// The lanes of `first`, then those of `second`, as 32 bfloat16.
HWY_INLINE V Halves(V first, V second) {
  V out;
  asm("vcvtne2ps2bf16 %2, %1, %0" : "=v"(out.raw) : "v"(second.raw), "v"(first.raw));
  return out;
}
HWY_INLINE void StoreHalves(V first, V second, float* to) { hn::StoreU(Halves(first, second), df, to); }
// Pairs of the lanes of `first` and `second`.
HWY_INLINE V Paired(V first, V second) {
  alignas(64) static constexpr uint16_t kOrder[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                      8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const V order = hn::LoadU(df, reinterpret_cast<const float*>(kOrder));
  V both = Halves(first, second);
  asm("vpermw %1, %2, %0" : "=v"(both.raw) : "v"(both.raw), "v"(order.raw));
  return both;
}
#else
// x rounded to bfloat16, to the nearest and of two the even one, in the upper half; NaN stays NaN.
HWY_INLINE hn::Vec<hn::RebindToUnsigned<F> > UpperHalves(V x) {
  const hn::RebindToUnsigned<F> du;
  const auto bits = hn::BitCast(du, x), one = hn::Set(du, 1), high = hn::Set(du, 0xffff0000u);
  const auto rounded = hn::And(hn::Add(bits, hn::Add(hn::Set(du, 0x7fff), hn::And(hn::ShiftRight<16>(bits), one))), high);
  return hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(x)), hn::Set(du, 0x7fc00000u), rounded);
}
// The lanes of `first`, then those of `second`, as bfloat16.
HWY_INLINE void StoreHalves(V first, V second, float* to) {
  HWY_ALIGN uint32_t bits[2 * kLanes];
  const hn::RebindToUnsigned<F> du;
  hn::StoreU(UpperHalves(first), du, bits);
  hn::StoreU(UpperHalves(second), du, bits + kLanes);
  uint16_t halves[2 * kLanes];
  for (int64_t i = 0; i < 2 * kLanes; i++) halves[i] = static_cast<uint16_t>(bits[i] >> 16);
  std::memcpy(to, halves, sizeof halves);
}
HWY_INLINE V Paired(V first, V second) { return hn::BitCast(df, hn::Or(hn::ShiftRight<16>(UpperHalves(first)), UpperHalves(second))); }
#endif

// 64 floats as 64 bfloat16, in place.
HWY_INLINE void RowToHalves(float* row) {
  for (int64_t v = 0; v < kPanel; v += 2 * kLanes) StoreHalves(hn::LoadU(df, row + v), hn::LoadU(df, row + v + kLanes), row + v / 2);
}

// Matrices lie in panels: 64 columns of all rows, then the next 64 (panels, rows, 64), so that every product reads and writes rows of 64.

// A matrix of which element (i, k - first) is data[i * row + k % 64 * step + k / 64 * panel]; of pairs 32 instead of 64.
struct Left {
  const float* data;
  int64_t row, step, panel = 0, first = 0;
};

// A matrix whose rows begin `step` apart.
struct Right {
  const float* data;
  int64_t step = kPanel;
};

// Memory that is read or written soon, asked for a few lines at a time between the tiles of products: what is asked for at once is waited
// for, and what is not asked for is waited for longer.
class Ahead {
 public:
  void Clear() {
    first_ = count_ = 0;
    at_ = 0;
  }
  // `rows` rows of `bytes` bytes, `step` bytes apart. Beyond a few of them they are forgotten.
  void Add(const void* from, int64_t step, int64_t bytes, int64_t rows) {
    if (first_ == count_) Clear();
    if (count_ == kMost || !from || bytes <= 0 || rows <= 0) return;
    const bool together = step == bytes;
    items_[count_++] = {static_cast<const char*>(from), step, together ? bytes * rows : bytes, together ? 1 : rows};
  }
  HWY_INLINE void Ask() {
    constexpr int kLines = 32;
    for (int i = 0; i < kLines && first_ < count_; i++) {
      Item& item = items_[first_];
      __builtin_prefetch(item.from + at_, 0, 3);
      at_ += 64;
      if (at_ < item.bytes) continue;
      at_ = 0;
      item.from += item.step;
      if (--item.rows == 0) first_++;
    }
  }

 private:
  static constexpr int kMost = 8;
  struct Item {
    const char* from;
    int64_t step, bytes, rows;
  } items_[kMost];
  int first_ = 0, count_ = 0;
  int64_t at_ = 0;  // in a row of the first
};

// What a product does beside.
struct Beside {
  float* most = nullptr;  // (rows, kLanes): the largest of a row of c that each lane has seen so far; NaN is not seen
  Ahead* ahead = nullptr;
};

template <class Elements, int kRows, int kVectors>
HWY_INLINE void MultiplyTile(Left a, Right b, int64_t depth, float* HWY_RESTRICT c, bool add, Beside beside) {
  if (beside.ahead) beside.ahead->Ask();
  V sum[kRows][kVectors];
  const float* row[kRows];
  ATTEND_UNROLL for (int i = 0; i < kRows; i++) {
    row[i] = a.data + i * a.row;
    ATTEND_UNROLL for (int v = 0; v < kVectors; v++) sum[i][v] = add ? hn::LoadU(df, c + i * kPanel + v * kLanes) : hn::Zero(df);
  }
  const float* HWY_RESTRICT right = b.data;
  for (int64_t k = a.first, end = a.first + depth, panel = 0; k < end; panel += a.panel) {
    constexpr int64_t kDeep = kPanel / Elements::kPer;
    const int64_t until = std::min(end, k / kDeep * kDeep + kDeep);
    for (int64_t at = panel + k % kDeep * a.step; k < until; k++, at += a.step, right += b.step) {
      V w[kVectors];
      ATTEND_UNROLL for (int v = 0; v < kVectors; v++) w[v] = hn::LoadU(df, right + v * kLanes);
      ATTEND_UNROLL for (int i = 0; i < kRows; i++) {
        const V x = hn::Set(df, row[i][at]);
        ATTEND_UNROLL for (int v = 0; v < kVectors; v++) sum[i][v] = Elements::MulAdd(x, w[v], sum[i][v]);
      }
    }
  }
  ATTEND_UNROLL for (int i = 0; i < kRows; i++) ATTEND_UNROLL for (int v = 0; v < kVectors; v++)
      hn::StoreU(sum[i][v], df, c + i * kPanel + v * kLanes);
  float* most = beside.most;
  if (!most) return;
  ATTEND_UNROLL for (int i = 0; i < kRows; i++) {
    V largest = hn::LoadU(df, most + i * kLanes);
    ATTEND_UNROLL for (int v = 0; v < kVectors; v++) largest = hn::Max(sum[i][v], largest);
    hn::StoreU(largest, df, most + i * kLanes);
  }
}

template <class Elements, int kVectors>
HWY_INLINE void MultiplyRows(Left a, int64_t rows, Right b, int64_t depth, float* c, bool add, Beside beside) {
  const auto from = [&](int64_t i) { return Beside{beside.most ? beside.most + i * kLanes : nullptr, beside.ahead}; };
  int64_t i = 0;
  for (; i + kMultiplyRows <= rows; i += kMultiplyRows)
    MultiplyTile<Elements, kMultiplyRows, kVectors>({a.data + i * a.row, a.row, a.step, a.panel, a.first}, b, depth, c + i * kPanel, add,
                                                    from(i));
  const Left rest{a.data + i * a.row, a.row, a.step, a.panel, a.first};
  float* to = c + i * kPanel;
  beside = from(i);
  switch (rows - i) {
    case 5:
      return MultiplyTile<Elements, 5, kVectors>(rest, b, depth, to, add, beside);
    case 4:
      return MultiplyTile<Elements, 4, kVectors>(rest, b, depth, to, add, beside);
    case 3:
      return MultiplyTile<Elements, 3, kVectors>(rest, b, depth, to, add, beside);
    case 2:
      return MultiplyTile<Elements, 2, kVectors>(rest, b, depth, to, add, beside);
    case 1:
      return MultiplyTile<Elements, 1, kVectors>(rest, b, depth, to, add, beside);
    default:
      return;
  }
}

// c (rows, 64), or its first `columns` rounded up to vectors, = or += a (rows, depth) times b (depth, 64); depth counts elements or pairs.
template <class Elements>
HWY_NOINLINE void Multiply(Left a, int64_t rows, Right b, int64_t depth, int64_t columns, float* c, bool add, Beside beside = {}) {
  int64_t v = 0;
  const int64_t vectors = (columns + kLanes - 1) / kLanes;
  for (; v + kMultiplyVectors <= vectors; v += kMultiplyVectors)
    MultiplyRows<Elements, kMultiplyVectors>(a, rows, {b.data + v * kLanes, b.step}, depth, c + v * kLanes, add, beside);
  if (kMultiplyVectors == 4 && vectors - v >= 2) {
    MultiplyRows<Elements, 2>(a, rows, {b.data + v * kLanes, b.step}, depth, c + v * kLanes, add, beside);
    v += 2;
  }
  if (v < vectors) MultiplyRows<Elements, 1>(a, rows, {b.data + v * kLanes, b.step}, depth, c + v * kLanes, add, beside);
}

}  // namespace fused
}  // namespace attend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
