#include "attend/kernels/linear.h"

#include <algorithm>
#include <utility>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attend/kernels/linear.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attend::kernels::HWY_NAMESPACE {
namespace linear {
namespace hn = hwy::HWY_NAMESPACE;
using F = hn::CappedTag<float, kLinearPanel / 2>;
using V = hn::Vec<F>;
constexpr F df;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(df));
constexpr int64_t kColumns = 2 * kLanes;  // of a tile
static_assert(kLinearPanel % kColumns == 0);

// Rows of a tile: as many as leave two registers for the weights, one for an element of x, of 32 with AVX-512, of 16 elsewhere.
constexpr int kTileRows = HWY_TARGET <= HWY_AVX3 ? 12 : 6;
// Elements of x that are laid out at once: what a second-level cache of 1 MiB holds beside two panels.
constexpr int64_t kChunk = 192 * 1024;

// x (inputs, kRows), w: a tile's columns of a panel. addend null or at the tile's first element, like y. `next` is fetched for later: the
// weights are larger than a cache, and a panel's way there would be waited for.
template <int kRows>
void Tile(const float* HWY_RESTRICT x, const float* HWY_RESTRICT w, const float* next, int64_t inputs, int64_t columns, const float* addend,
          int64_t addend_stride, float* y, int64_t y_stride) {
  V sum0[kRows], sum1[kRows];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; i++) sum0[i] = sum1[i] = hn::Zero(df);
  for (int64_t k = 0; k < inputs; k++) {
    if constexpr (kRows > 3) {  // with few rows memory is busy as it is
      __builtin_prefetch(next + k * kLinearPanel, 0, 2);
      __builtin_prefetch(next + k * kLinearPanel + kLanes, 0, 2);
    }
    const V w0 = hn::LoadU(df, w + k * kLinearPanel), w1 = hn::LoadU(df, w + k * kLinearPanel + kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; i++) {
      const V xi = hn::Set(df, x[k * kRows + i]);
      sum0[i] = hn::MulAdd(xi, w0, sum0[i]);
      sum1[i] = hn::MulAdd(xi, w1, sum1[i]);
    }
  }
  if (columns >= kColumns) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; i++) {
      const float* a = addend + i * addend_stride;
      hn::StoreU(addend ? hn::Add(sum0[i], hn::LoadU(df, a)) : sum0[i], df, y + i * y_stride);
      hn::StoreU(addend ? hn::Add(sum1[i], hn::LoadU(df, a + kLanes)) : sum1[i], df, y + i * y_stride + kLanes);
    }
    return;
  }
  HWY_ALIGN float row[kColumns];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; i++) {
    hn::Store(sum0[i], df, row);
    hn::Store(sum1[i], df, row + kLanes);
    for (int64_t j = 0; j < columns; j++) y[i * y_stride + j] = addend ? row[j] + addend[i * addend_stride + j] : row[j];
  }
}

using TileFunction = void (*)(const float*, const float*, const float*, int64_t, int64_t, const float*, int64_t, float*, int64_t);

template <int... kIndex>
constexpr TileFunction TileOf(int64_t rows, std::integer_sequence<int, kIndex...>) {
  constexpr TileFunction kTiles[] = {Tile<kIndex + 1>...};
  return kTiles[rows - 1];
}

void Rows(const float* x, int64_t x_stride, int64_t rows, int64_t inputs, const float* packed, int64_t outputs, const float* addend,
          int64_t addend_stride, int64_t begin, int64_t end, float* y, int64_t y_stride) {
  static thread_local std::vector<float> laid_out;
  const int64_t chunks = (rows * inputs + kChunk - 1) / kChunk, most = (rows + chunks - 1) / std::max<int64_t>(chunks, 1);
  for (int64_t chunk = 0; chunk < rows; chunk += most) {
    const int64_t here = std::min(most, rows - chunk), blocks = (here + kTileRows - 1) / kTileRows;
    const auto first = [&](int64_t block) { return here * block / blocks; };
    laid_out.resize(std::max(laid_out.size(), static_cast<size_t>(here * inputs)));
    for (int64_t b = 0; b < blocks; b++) {
      const int64_t from = first(b), n = first(b + 1) - from;
      float* to = laid_out.data() + from * inputs;
      const float* top = x + (chunk + from) * x_stride;
      for (int64_t k = 0; k < inputs; k++)
        for (int64_t i = 0; i < n; i++) to[k * n + i] = top[i * x_stride + k];
    }
    for (int64_t p = begin; p < end; p++)
      for (int64_t b = 0; b < blocks; b++) {
        const int64_t from = first(b), row = chunk + from;
        const TileFunction tile = TileOf(first(b + 1) - from, std::make_integer_sequence<int, kTileRows>());
        for (int64_t c = 0; c < kLinearPanel; c += kColumns) {
          const int64_t column = p * kLinearPanel + c;
          if (column >= outputs) break;
          const float* w = packed + p * inputs * kLinearPanel + c;
          tile(laid_out.data() + from * inputs, w, w + (p + 1 < end ? inputs * kLinearPanel : 0), inputs, outputs - column,
               addend ? addend + row * addend_stride + column : nullptr, addend_stride, y + row * y_stride + column, y_stride);
        }
      }
  }
}

}  // namespace linear
void PackedLinearRows(const float* x, int64_t x_stride, int64_t rows, int64_t inputs, const float* packed, int64_t outputs,
                      const float* addend, int64_t addend_stride, int64_t begin, int64_t end, float* y, int64_t y_stride) {
  linear::Rows(x, x_stride, rows, inputs, packed, outputs, addend, addend_stride, begin, end, y, y_stride);
}
}  // namespace attend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attend::kernels {
HWY_EXPORT(PackedLinearRows);

void PackLinear(const float* weight, int64_t stride, int64_t outputs, int64_t inputs, float* packed) {
  for (int64_t p = 0; p < LinearPanels(outputs); p++) {
    const int64_t n = std::min(kLinearPanel, outputs - p * kLinearPanel);
    float* panel = packed + p * inputs * kLinearPanel;
    for (int64_t k = 0; k < inputs; k++)
      for (int64_t j = 0; j < kLinearPanel; j++) panel[k * kLinearPanel + j] = j < n ? weight[(p * kLinearPanel + j) * stride + k] : 0.0f;
  }
}

void PackedLinear(const float* x, int64_t x_stride, int64_t rows, int64_t inputs, const float* packed, int64_t outputs, const float* addend,
                  int64_t addend_stride, int64_t begin, int64_t end, float* y, int64_t y_stride) {
  HWY_DYNAMIC_DISPATCH(PackedLinearRows)
  (x, x_stride, rows, inputs, packed, outputs, addend, addend_stride, begin, end, y, y_stride);
}
}  // namespace attend::kernels
#endif
