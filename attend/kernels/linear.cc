#include "attend/kernels/linear.h"

#include <algorithm>
#include <utility>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attend/kernels/linear.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "attend/kernels/panels-inl.h"

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
// Inputs whose products are summed in registers before the sums go to y and back: bounds what a panel takes of that cache.
constexpr int64_t kDepth = 1024;
// Elements of a weight that are laid out at once where it comes as it lies: what the last cache holds.
constexpr int64_t kGroup = 1024 * 1024;

// f(from, end) for shares of the inputs that are to be laid out one after the other.
template <class F>
void Shares(const Matrix& m, int64_t inputs, const F& f) {
  if (m.row != 1) return f(int64_t{0}, inputs);
  for (int64_t k = 0; k < inputs; k += kFewColumns) f(k, std::min(inputs, k + kFewColumns));
}

// Panels [begin, end) of inputs [from, to) -> (end - begin, to - from, kLinearPanel).
void Panels(Matrix weight, int64_t outputs, int64_t from, int64_t to, int64_t begin, int64_t end, float* packed) {
  const int64_t inputs = to - from;
  Shares(weight, inputs, [&](int64_t k, int64_t until) {
    for (int64_t p = begin; p < end; p++) {
      const int64_t n = std::min(kLinearPanel, outputs - p * kLinearPanel);
      float* panel = packed + (p - begin) * inputs * kLinearPanel;
      if (n < kLinearPanel) std::fill_n(panel + k * kLinearPanel, (until - k) * kLinearPanel, 0.0f);
      LayOut({weight.data + p * kLinearPanel * weight.row + from * weight.column, weight.row, weight.column}, n, k, until, kLinearPanel,
             panel);
    }
  });
}

// x (inputs, kRows), w: a tile's columns of a panel. The sums begin with `start`, or 0 where it is null; addend null, or at the tile's
// first element, like start and y. `next` is fetched for later: the weights are larger than a cache, and a panel's way there would be
// waited for.
template <int kRows>
void Tile(const float* HWY_RESTRICT x, const float* HWY_RESTRICT w, const float* next, int64_t inputs, int64_t columns, const float* start,
          const float* addend, int64_t addend_stride, float* y, int64_t y_stride) {
  V sum0[kRows], sum1[kRows];
  HWY_ALIGN float row[kColumns];
  const bool whole = columns >= kColumns;
  if (!start) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; i++) sum0[i] = sum1[i] = hn::Zero(df);
  } else if (whole) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; i++) {
      sum0[i] = hn::LoadU(df, start + i * y_stride);
      sum1[i] = hn::LoadU(df, start + i * y_stride + kLanes);
    }
  } else {
    std::fill_n(row, kColumns, 0.0f);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; i++) {
      std::copy_n(start + i * y_stride, columns, row);
      sum0[i] = hn::Load(df, row);
      sum1[i] = hn::Load(df, row + kLanes);
    }
  }
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
  if (whole) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; i++) {
      const float* a = addend ? addend + i * addend_stride : y;
      hn::StoreU(addend ? hn::Add(sum0[i], hn::LoadU(df, a)) : sum0[i], df, y + i * y_stride);
      hn::StoreU(addend ? hn::Add(sum1[i], hn::LoadU(df, a + kLanes)) : sum1[i], df, y + i * y_stride + kLanes);
    }
    return;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; i++) {
    hn::Store(sum0[i], df, row);
    hn::Store(sum1[i], df, row + kLanes);
    for (int64_t j = 0; j < columns; j++) y[i * y_stride + j] = addend ? row[j] + addend[i * addend_stride + j] : row[j];
  }
}

using TileFunction = void (*)(const float*, const float*, const float*, int64_t, int64_t, const float*, const float*, int64_t, float*,
                              int64_t);

template <int... kIndex>
constexpr TileFunction TileOf(int64_t rows, std::integer_sequence<int, kIndex...>) {
  constexpr TileFunction kTiles[] = {Tile<kIndex + 1>...};
  return kTiles[rows - 1];
}

// Storage that a thread keeps.
float* AtLeast(std::vector<float>& buffer, int64_t size) {
  if (static_cast<int64_t>(buffer.size()) < size) buffer.resize(static_cast<size_t>(size));
  return buffer.data();
}

// Panels [begin, end) of the product, of inputs [from, to) only. packed: panel `begin` of them, the next `stride` floats further.
void Block(Matrix x, int64_t rows, int64_t from, int64_t to, const float* packed, int64_t stride, int64_t outputs, bool continued,
           const float* addend, int64_t addend_stride, int64_t begin, int64_t end, float* y, int64_t y_stride) {
  static thread_local std::vector<float> buffer;
  const int64_t inputs = to - from, chunks = std::max<int64_t>(1, (rows * inputs + kChunk - 1) / kChunk),
                most = (rows + chunks - 1) / chunks;
  for (int64_t chunk = 0; chunk < rows; chunk += most) {
    const int64_t here = std::min(most, rows - chunk), blocks = (here + kTileRows - 1) / kTileRows;
    const auto first = [&](int64_t block) { return here * block / blocks; };
    float* laid_out = AtLeast(buffer, here * inputs);
    Shares(x, inputs, [&](int64_t k, int64_t until) {
      for (int64_t b = 0; b < blocks; b++) {
        const int64_t row = first(b), n = first(b + 1) - row;
        LayOut({x.data + (chunk + row) * x.row + from * x.column, x.row, x.column}, n, k, until, n, laid_out + row * inputs);
      }
    });
    for (int64_t p = begin; p < end; p++)
      for (int64_t b = 0; b < blocks; b++) {
        const int64_t at = first(b), row = chunk + at;
        const TileFunction tile = TileOf(first(b + 1) - at, std::make_integer_sequence<int, kTileRows>());
        for (int64_t c = 0; c < kLinearPanel; c += kColumns) {
          const int64_t column = p * kLinearPanel + c;
          if (column >= outputs) break;
          const float* w = inputs ? packed + (p - begin) * stride + c : packed;
          float* out = y + row * y_stride + column;
          tile(laid_out + at * inputs, w, w + (p + 1 < end ? stride : 0), inputs, outputs - column, continued ? out : nullptr,
               addend ? addend + row * addend_stride + column : nullptr, addend_stride, out, y_stride);
        }
      }
  }
}

// f(from, to) for each share of the inputs, at least once.
template <class F>
void Depths(int64_t inputs, const F& f) {
  const int64_t shares = std::max<int64_t>(1, (inputs + kDepth - 1) / kDepth);
  for (int64_t s = 0; s < shares; s++) f(inputs * s / shares, inputs * (s + 1) / shares);
}

void Packed(Matrix x, int64_t rows, int64_t inputs, const float* packed, int64_t outputs, const float* addend, int64_t addend_stride,
            int64_t begin, int64_t end, float* y, int64_t y_stride) {
  Depths(inputs, [&](int64_t from, int64_t to) {
    Block(x, rows, from, to, packed + (begin * inputs + from) * kLinearPanel, inputs * kLinearPanel, outputs, from > 0,
          from > 0 ? nullptr : addend, addend_stride, begin, end, y, y_stride);
  });
}

void AsItLies(Matrix x, int64_t rows, int64_t inputs, Matrix weight, int64_t outputs, const float* addend, int64_t addend_stride,
              int64_t begin, int64_t end, float* y, int64_t y_stride) {
  static thread_local std::vector<float> buffer;
  Depths(inputs, [&](int64_t from, int64_t to) {
    const int64_t stride = (to - from) * kLinearPanel, most = std::max<int64_t>(1, kGroup / std::max<int64_t>(stride, 1));
    for (int64_t p = begin; p < end; p += most) {
      const int64_t last = std::min(end, p + most);
      float* packed = AtLeast(buffer, (last - p) * stride);
      Panels(weight, outputs, from, to, p, last, packed);
      Block(x, rows, from, to, packed, stride, outputs, from > 0, from > 0 ? nullptr : addend, addend_stride, p, last, y, y_stride);
    }
  });
}

}  // namespace linear

void PackPanels(Matrix weight, int64_t outputs, int64_t inputs, int64_t begin, int64_t end, float* packed) {
  linear::Panels(weight, outputs, 0, inputs, begin, end, packed + begin * inputs * kLinearPanel);
}
void PackedRows(Matrix x, int64_t rows, int64_t inputs, const float* packed, int64_t outputs, const float* addend, int64_t addend_stride,
                int64_t begin, int64_t end, float* y, int64_t y_stride) {
  linear::Packed(x, rows, inputs, packed, outputs, addend, addend_stride, begin, end, y, y_stride);
}
void Rows(Matrix x, int64_t rows, int64_t inputs, Matrix weight, int64_t outputs, const float* addend, int64_t addend_stride, int64_t begin,
          int64_t end, float* y, int64_t y_stride) {
  linear::AsItLies(x, rows, inputs, weight, outputs, addend, addend_stride, begin, end, y, y_stride);
}
}  // namespace attend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attend::kernels {
HWY_EXPORT(PackPanels);
HWY_EXPORT(PackedRows);
HWY_EXPORT(Rows);

void PackLinear(Matrix weight, int64_t outputs, int64_t inputs, int64_t begin, int64_t end, float* packed) {
  HWY_DYNAMIC_DISPATCH(PackPanels)(weight, outputs, inputs, begin, end, packed);
}

void PackedLinear(Matrix x, int64_t rows, int64_t inputs, const float* packed, int64_t outputs, const float* addend, int64_t addend_stride,
                  int64_t begin, int64_t end, float* y, int64_t y_stride) {
  HWY_DYNAMIC_DISPATCH(PackedRows)(x, rows, inputs, packed, outputs, addend, addend_stride, begin, end, y, y_stride);
}

void Linear(Matrix x, int64_t rows, int64_t inputs, Matrix weight, int64_t outputs, const float* addend, int64_t addend_stride,
            int64_t begin, int64_t end, float* y, int64_t y_stride) {
  HWY_DYNAMIC_DISPATCH(Rows)(x, rows, inputs, weight, outputs, addend, addend_stride, begin, end, y, y_stride);
}
}  // namespace attend::kernels
#endif
