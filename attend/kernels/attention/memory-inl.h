// Keys and values of one sequence and head as the tiles read them, per instruction-set target.
#if defined(ATTEND_KERNELS_ATTENTION_MEMORY_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTEND_KERNELS_ATTENTION_MEMORY_INL_H_
#undef ATTEND_KERNELS_ATTENTION_MEMORY_INL_H_
#else
#define ATTEND_KERNELS_ATTENTION_MEMORY_INL_H_
#endif

#include <cmath>
#include <cstring>
#include <vector>

#include "attend/kernels/attention/multiply-inl.h"
#include "attend/kernels/attention/shares.h"
#include "attend/kernels/attention/storage.h"
#include "attend/kernels/math-inl.h"
#include "attend/kernels/panels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attend::kernels::HWY_NAMESPACE {
namespace fused {

inline int64_t Size(Element type) { return type == Element::float32 ? 4 : 2; }

inline const char* At(const Vectors& v, int64_t row, int64_t head, int64_t position) {
  return static_cast<const char*>(v.data) + (row * v.batch + head * v.head + position * v.position) * Size(v.type);
}
inline char* At(const MutableVectors& v, int64_t row, int64_t head, int64_t position) {
  return static_cast<char*>(v.data) + (row * v.batch + head * v.head + position * v.position) * Size(v.type);
}

// Shorter rows than a call of memcpy pays for.
HWY_INLINE void CopyRow(const float* HWY_RESTRICT from, int64_t n, float* HWY_RESTRICT to) {
  Lanes(n, [=](auto d, int64_t i) HWY_ATTR { hn::StoreU(hn::LoadU(d, from + i), d, to + i); });
}

HWY_INLINE void LoadRow(const char* from, Element type, int64_t n, float* HWY_RESTRICT to) {
  if (type == Element::float32) return CopyRow(reinterpret_cast<const float*>(from), n, to);
  const auto* bits = reinterpret_cast<const uint16_t*>(from);
  for (int64_t i = 0; i < n; i++) {
    const uint32_t wide = static_cast<uint32_t>(bits[i]) << 16;
    std::memcpy(to + i, &wide, 4);
  }
}

// The row where it lies if it is in single precision, else in `buffer`.
HWY_INLINE const float* FloatRow(const char* from, Element type, int64_t n, float* buffer) {
  if (type == Element::float32) return reinterpret_cast<const float*>(from);
  LoadRow(from, type, n, buffer);
  return buffer;
}

HWY_INLINE void StoreRow(const float* HWY_RESTRICT from, Element type, int64_t n, char* to) {
  if (type == Element::float32) return CopyRow(from, n, reinterpret_cast<float*>(to));
  auto* bits = reinterpret_cast<uint16_t*>(to);
  for (int64_t i = 0; i < n; i++) {
    uint32_t wide;
    std::memcpy(&wide, from + i, 4);
    const bool nan = (wide & 0x7fffffff) > 0x7f800000;
    bits[i] = static_cast<uint16_t>(nan ? 0x7fc0 : (wide + 0x7fff + (wide >> 16 & 1)) >> 16);
  }
}

HWY_INLINE bool Finite(const float* x, int64_t n) {
  float sum = 0;
  for (int64_t i = 0; i < n; i++) sum += x[i] * 0;
  return sum == 0;
}

// A matrix of which element (r, d) is data[r * row + d / 64 * panel + d % 64]; of pairs 32 instead of 64: in panels, or as it was given.
struct Rows {
  const float* data = nullptr;
  int64_t row = kPanel, panel = 0;
  const float* At(int64_t r, int64_t d) const { return data + r * row + d / kPanel * panel; }
};

// Can products take vectors of n dimensions where they lie? Rows far apart would share few places of the first cache.
template <class Elements>
bool ServesInPlace(const Vectors& v, int64_t n) {
  constexpr int64_t kPer = Elements::kPer, kMost = 2 * kPanel * kPer;
  const bool even =
      v.position % kPer == 0 && v.head % kPer == 0 && v.batch % kPer == 0 && reinterpret_cast<uintptr_t>(v.data) % sizeof(float) == 0;
  return Size(v.type) * kPer == sizeof(float) && n % (kLanes * kPer) == 0 && v.position >= n && v.position <= kMost && even;
}

// Row r of a matrix in panels of `rows` rows; what fills up the last panel is 0.
HWY_INLINE void RowToPanels(const float* row, int64_t n, int64_t rows, int64_t r, float* panels) {
  for (int64_t c = 0; c < n; c += kPanel) {
    float* to = panels + (c / kPanel * rows + r) * kPanel;
    const int64_t here = std::min(kPanel, n - c);
    CopyRow(row + c, here, to);
    std::fill(to + here, to + kPanel, 0.0f);
  }
}
HWY_INLINE void RowFromPanels(const float* panels, int64_t n, int64_t rows, int64_t r, float* row) {
  for (int64_t c = 0; c < n; c += kPanel) CopyRow(panels + (c / kPanel * rows + r) * kPanel, std::min(kPanel, n - c), row + c);
}

// x . y in double precision.
HWY_INLINE double ExactDot(const float* x, const float* y, int64_t n) {
  double total = 0;
  int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::RepartitionToWide<F> wide;
  const hn::Rebind<float, decltype(wide)> half;
  constexpr int64_t kHalf = kLanes / 2;
  auto sum0 = hn::Zero(wide), sum1 = sum0;
  for (; i + kLanes <= n; i += kLanes) {
    sum0 = hn::MulAdd(hn::PromoteTo(wide, hn::LoadU(half, x + i)), hn::PromoteTo(wide, hn::LoadU(half, y + i)), sum0);
    sum1 = hn::MulAdd(hn::PromoteTo(wide, hn::LoadU(half, x + i + kHalf)), hn::PromoteTo(wide, hn::LoadU(half, y + i + kHalf)), sum1);
  }
  total = hn::GetLane(hn::SumOfLanes(wide, hn::Add(sum0, sum1)));
#endif
  for (; i < n; i++) total += static_cast<double>(x[i]) * static_cast<double>(y[i]);
  return total;
}

HWY_INLINE float Square(const float* x, int64_t n) {
  V sum = hn::Zero(df);
  float rest = 0;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const V v = hn::LoadU(df, x + i);
    sum = hn::MulAdd(v, v, sum);
  }
  for (; i < n; i++) rest += x[i] * x[i];
  return hn::GetLane(hn::SumOfLanes(df, sum)) + rest;
}

// x / |x| in place; returns 1 / |x|. A zero vector stays, with 0. Where a square could overflow or vanish, the largest component is taken
// out first (ops/scores/cosine.h).
HWY_INLINE float Unit(float* x, int64_t n) {
  const float square = Square(x, n);
  if (square > 1e-30f && square < 1e30f) {
    const float inverse = 1 / std::sqrt(square);
    Lanes(n, [=](auto d, int64_t i) HWY_ATTR { hn::StoreU(hn::Mul(hn::Set(d, inverse), hn::LoadU(d, x + i)), d, x + i); });
    return inverse;
  }
  float most = 0;
  bool number = true;
  for (int64_t i = 0; i < n; i++) {
    most = std::max(most, std::abs(x[i]));
    number = number && x[i] == x[i];
  }
  if (number && most == 0) return 0;
  if (!number) most = 1;
  for (int64_t i = 0; i < n; i++) x[i] /= most;
  const float norm = std::sqrt(Square(x, n));
  for (int64_t i = 0; i < n; i++) x[i] /= norm;
  return 1 / (norm * most);
}

// Additive scores: e^2k where that serves, within +-30; then e^2q need only be limited to e^+-80 (KERNELS: tanh is 1 beyond in single
// precision).
constexpr float kKeyLimit = 30, kQueryLimit = 40;

HWY_INLINE bool WithinLimit(const float* key, int64_t n) {
  float beyond = 0;
  for (int64_t i = 0; i < n; i++) beyond += std::abs(key[i]) <= kKeyLimit ? 0.0f : 1.0f;
  return beyond == 0;
}

HWY_INLINE void ExpTwice(float* x, int64_t n, float limit) {
  Lanes(n, [=](auto d, int64_t i)
               HWY_ATTR { hn::StoreU(Exp(d, Clamp(d, hn::Mul(hn::Set(d, 2.0f), hn::LoadU(d, x + i)), -2 * limit, 2 * limit)), d, x + i); });
}

// Do the products of a call take pairs of bfloat16? Those of vectors that are compared and read as they are.
inline bool TakesPairs(const Problem& p) {
  const auto fits = [](const Vectors& v, int64_t n) { return v.type == Element::bfloat16 && n > 0 && n % Pairs::kPer == 0; };
  return p.score == Score::dot && fits(p.query, p.dim) && fits(p.key, p.dim) && fits(p.value, p.value_dim) && Pairs::Serves(p.low_products);
}

// A row of bfloat16 in panels of `rows` rows, 32 pairs in the place of 64 floats.
HWY_INLINE void LowRowToPanels(const char* row, int64_t n, int64_t rows, int64_t r, float* panels) {
  for (int64_t c = 0; c < n; c += kPanel)
    std::memcpy(panels + (c / kPanel * rows + r) * kPanel, row + c * 2, static_cast<size_t>(std::min(kPanel, n - c)) * 2);
}

// Rows 2i and 2i + 1 of such rows as pairs, (n / 64, kTileRows / 2, 64); a missing last one counts as zeros.
inline void PairLowRows(const Rows& from, int64_t rows, int64_t n, float* to) {
  static constexpr uint16_t kZeros[kPanel] = {};
  for (int64_t c = 0; c < n; c += kPanel)
    for (int64_t r = 0; r < rows; r += 2) {
      const auto* first = reinterpret_cast<const uint16_t*>(from.At(r, c));
      const auto* second = r + 1 < rows ? reinterpret_cast<const uint16_t*>(from.At(r + 1, c)) : kZeros;
      auto* pairs = reinterpret_cast<uint32_t*>(to + (c / kPanel * kTileRows + r) / 2 * kPanel);
      const int64_t here = std::min(kPanel, n - c);
      for (int64_t i = 0; i < here; i++) pairs[i] = static_cast<uint32_t>(first[i]) | static_cast<uint32_t>(second[i]) << 16;
    }
}

// The rows of a panel's scores two and two as pairs: (rows / 2, `step`) numbers; a missing last row counts as zeros.
HWY_INLINE void PairScores(const float* rows, int64_t n, int64_t step, float* to) {
  for (int64_t r = 0; r < n; r += 2, to += step)
    for (int64_t v = 0; v < kPanel; v += kLanes) {
      const V first = hn::LoadU(df, rows + r * kPanel + v);
      const V second = r + 1 < n ? hn::LoadU(df, rows + (r + 1) * kPanel + v) : hn::Zero(df);
      hn::StoreU(Paired(first, second), df, to + v);
    }
}

// Rows of keys and values, laid out panel by panel when a tile first asks for one.
class Memory {
 public:
  Ahead ahead;

  // seen(j): does any query see key j? Asked only of keys and values that are not finite: those that nobody sees count as 0.
  template <class Seen>
  void Fetch(int64_t panel, const Seen& seen) {
    char& ready = ready_[static_cast<size_t>(panel - panels_.begin)];
    if (ready & kKeys) return;
    ready |= kKeys;
    const Problem& p = *problem_;
    const int64_t first = panel * kPanel, n = std::min(kPanel, sequence_->keys - first), at = panel - panels_.begin;
    AskFor(p.key, panel + 1, p.dim);
    AskFor(p.value, backward_ ? panel + 1 : panel, p.value_dim);
    if (low_) return FetchLow(panel, seen);
    const bool sure = Sure(panel);
    if (sure && p.score == Score::dot && p.key.type == Element::float32) {
      LayAcross(p.key, panel, p.dim, keys_across_);
      if (backward_ && !keys_in_place_) LayKeysAlong(panel);
    } else if (p.score != Score::given) {
      float* rows = rows_.AtLeast(kPanel * p.dim);
      bool direct = false;
      for (int64_t j = 0; j < n; j++) {
        float* row = rows + j * p.dim;
        if (!Copy(p.key, first + j, p.dim, row, seen)) continue;
        if (p.score == Score::cosine) Unit(row, p.dim);
        if (p.score == Score::euclidean) squares_[static_cast<size_t>(at * kPanel + j)] = Square(row, p.dim);
        if (p.score == Score::additive) direct = direct || !WithinLimit(row, p.dim);
      }
      if (p.score == Score::additive) {
        direct_[static_cast<size_t>(at)] = direct;
        if (!direct) ExpTwice(rows, n * p.dim, kKeyLimit);
      }
      float* across = keys_across_.AtLeast(0) + at * p.dim * kPanel;
      if (n < kPanel)
        for (int64_t d = 0; d < p.dim; d++)
          std::fill(across + d * kPanel + n, across + (d + 1) * kPanel, p.score == Score::additive && !direct ? 1.0f : 0.0f);
      LayOut({rows, p.dim, 1}, n, 0, p.dim, kPanel, across);
      if (backward_ && p.score == Score::additive) {
        for (int64_t j = 0; j < kPanel; j++)
          for (int64_t d = 0; d < p.dim; d += kStripe) {
            float* to = Stripe(keys_along_, d, panel) + j * kStripe;
            const int64_t here = j < n ? std::min(kStripe, p.dim - d) : 0;
            if (here > 0) CopyRow(rows + j * p.dim + d, here, to);
            std::fill(to + here, to + kStripe, direct ? 0.0f : 1.0f);
          }
      } else if (backward_) {
        for (int64_t j = 0; j < kPanel; j++) Along(keys_along_, rows + j * p.dim, j < n, p.dim, at * kPanel + j);
      }
    }
    if (!backward_) return;
    if (sure && p.value.type == Element::float32) return LayAcross(p.value, panel, p.value_dim, values_);
    float* rows = rows_.AtLeast(kPanel * std::max(p.value_dim, p.dim));
    for (int64_t j = 0; j < n; j++) Copy(p.value, first + j, p.value_dim, rows + j * p.value_dim, seen);
    float* across = values_.AtLeast(0) + at * p.value_dim * kPanel;
    if (n < kPanel)
      for (int64_t d = 0; d < p.value_dim; d++) std::fill(across + d * kPanel + n, across + (d + 1) * kPanel, 0.0f);
    LayOut({rows, p.value_dim, 1}, n, 0, p.value_dim, kPanel, across);
  }

  // Values of the panels of a span as rows, 64 dimensions from d on: where they lie, or laid out.
  template <class Seen>
  Right ValuesAlong(int64_t d, const Span& span, const Seen& seen) {
    const Problem& p = *problem_;
    if (values_in_place_ && span.begin * kPanel >= sure_.begin && std::min(span.end * kPanel, sequence_->seen) <= sure_.end)
      return {Floats(p.value, span.begin) + d, p.value.position};
    for (int64_t panel = span.begin; panel < span.end; panel++) {
      char& ready = ready_[static_cast<size_t>(panel - panels_.begin)];
      if (ready & kValues) continue;
      ready |= kValues;
      if (low_) {
        PairRows(LowRows(p.value, panel, p.value_dim, seen), p.value_dim, panel, values_);
        continue;
      }
      float* buffer = rows_.AtLeast(kPanel * std::max(p.value_dim, p.dim));
      for (int64_t j = 0; j < kPanel; j++) {
        const float* row = panel * kPanel + j < sequence_->keys ? Load(p.value, panel * kPanel + j, p.value_dim, buffer, seen) : nullptr;
        Along(values_, row, row != nullptr, p.value_dim, (panel - panels_.begin) * kPanel + j);
      }
    }
    return {values_.AtLeast(0) + Place(d, span.begin)};
  }

  // panels: those that may be asked for. low: keys and values are laid out in pairs of bfloat16. few: nothing is laid out (few-inl.h), and
  // only what is known of keys is kept here.
  void Start(const Problem& p, const Sequence& s, int64_t kv_head, Interval panels, bool few, bool low, bool backward) {
    problem_ = &p;
    sequence_ = &s;
    head_ = kv_head;
    panels_ = panels;
    ahead.Clear();
    backward_ = backward;
    low_ = low;
    const int64_t n = count(), keys = n * kPanel;
    if (p.score == Score::euclidean) squares_.assign(static_cast<size_t>(keys), 0);
    sure_ = SurelySeen(p, s);
    one_row_ = !p.key_rows || p.key_rows_key == 0;
    values_in_place_ = one_row_ && ServesInPlace<Singles>(p.value, p.value_dim);
    keys_in_place_ = one_row_ && p.score == Score::dot && ServesInPlace<Singles>(p.key, p.dim);
    if (few) return;
    ready_.assign(static_cast<size_t>(n), 0);
    if (p.score != Score::given) keys_across_.AtLeast(keys * p.dim);
    if (p.score == Score::additive) direct_.assign(static_cast<size_t>(n), 0);
    if (backward && p.score != Score::given) keys_along_.AtLeast(keys * (p.dim + kPanel));
    values_.AtLeast(keys * (p.value_dim + kPanel));
  }
  void GiveBack() {
    for (Storage* s : {&rows_, &keys_across_, &keys_along_, &values_}) s->GiveBack();
  }

  int64_t count() const { return panels_.end - panels_.begin; }
  // (D, 64) and, of the backward pass, (Dv, 64): dimensions by keys.
  // Of pairs, (D / 2, 64).
  const float* KeysAcross(int64_t panel) { return keys_across_.AtLeast(0) + (panel - panels_.begin) * problem_->dim * kPanel; }
  const float* ValuesAcross(int64_t panel) { return values_.AtLeast(0) + (panel - panels_.begin) * problem_->value_dim * kPanel; }
  // Keys of the panels of a span as rows, 64 dimensions from d on: where they lie, or laid out; of pairs two and two.
  Right KeysAlong(int64_t d, const Span& span) {
    bool in_place = keys_in_place_ && !low_;
    for (int64_t panel = span.begin; panel < span.end; panel++) in_place = in_place && Sure(panel);
    if (in_place) return {Floats(problem_->key, span.begin) + d, problem_->key.position};
    for (int64_t panel = span.begin; panel < span.end && keys_in_place_ && !low_; panel++) {
      char& ready = ready_[static_cast<size_t>(panel - panels_.begin)];
      if (ready & kKeysAlong || !Sure(panel)) continue;
      ready |= kKeysAlong;
      LayKeysAlong(panel);
    }
    return {keys_along_.AtLeast(0) + Place(d, span.begin)};
  }
  // The same of additive scores, (keys, 16).
  const float* KeyStripe(int64_t d, int64_t panel) { return Stripe(keys_along_, d, panel); }
  // |k|^2 of the keys of a panel.
  float* Squares(int64_t panel) { return squares_.data() + (panel - panels_.begin) * kPanel; }
  // Additive: the keys themselves were laid out, not e^2k.
  bool Direct(int64_t panel) const { return direct_[static_cast<size_t>(panel - panels_.begin)]; }

 private:
  // Does some query see each of the panel's keys, all in one row of the batch? Then they need not be looked at one by one.
  bool Sure(int64_t panel) const {
    const int64_t first = panel * kPanel, end = std::min(first + kPanel, sequence_->keys);
    return one_row_ && first >= sure_.begin && end <= sure_.end;
  }
  // The keys or values of a panel where they lie, single precision.
  const float* Floats(const Vectors& from, int64_t panel) const {
    const int64_t first = panel * kPanel;
    return reinterpret_cast<const float*>(At(from, KeyRow(*problem_, *sequence_, first), head_, sequence_->key_start + first));
  }

  void AskFor(const Vectors& from, int64_t panel, int64_t n) {
    if (panel >= panels_.end || !from.data || !one_row_) return;
    const int64_t rows = std::min(kPanel, sequence_->seen - panel * kPanel);
    ahead.Add(Floats(from, panel), from.position * Size(from.type), n * Size(from.type), rows);
  }

  // A panel that is Sure(), single precision, to its place in `to`, (panels, n, 64).
  void LayAcross(const Vectors& from, int64_t panel, int64_t n, Storage& to) {
    const int64_t rows = std::min(kPanel, sequence_->keys - panel * kPanel);
    float* across = to.AtLeast(0) + (panel - panels_.begin) * n * kPanel;
    if (rows < kPanel) std::fill_n(across, n * kPanel, 0.0f);
    LayOut({Floats(from, panel), from.position, 1}, rows, 0, n, kPanel, across);
  }
  void LayKeysAlong(int64_t panel) {
    const Problem& p = *problem_;
    const int64_t n = std::min(kPanel, sequence_->keys - panel * kPanel);
    const float* rows = Floats(p.key, panel);
    for (int64_t j = 0; j < kPanel; j++) Along(keys_along_, rows + j * p.key.position, j < n, p.dim, (panel - panels_.begin) * kPanel + j);
  }

  // Key or value j in single precision, where it lies or in `buffer`; null where it counts as zeros, because nobody sees it.
  template <class Seen>
  const float* Load(const Vectors& from, int64_t j, int64_t n, float* buffer, const Seen& seen) {
    if (j >= sequence_->seen) return nullptr;
    const char* at = At(from, KeyRow(*problem_, *sequence_, j), head_, sequence_->key_start + j);
    const float* row = FloatRow(at, from.type, n, buffer);
    return (j >= sure_.begin && j < sure_.end) || Finite(row, n) || seen(j) ? row : nullptr;
  }

  // The same as a copy.
  template <class Seen>
  bool Copy(const Vectors& from, int64_t j, int64_t n, float* to, const Seen& seen) {
    const float* row = Load(from, j, n, to, seen);
    if (!row) {
      std::fill_n(to, n, 0.0f);
    } else if (row != to) {
      CopyRow(row, n, to);
    }
    return row != nullptr;
  }

  void Along(Storage& to, const float* row, bool there, int64_t n, int64_t place) {
    for (int64_t c = 0; c < n; c += kPanel) {
      float* at = to.AtLeast(0) + (c / kPanel * count() * kPanel + place) * kPanel;
      const int64_t here = there ? std::min(kPanel, n - c) : 0;
      if (here > 0) CopyRow(row + c, here, at);
      std::fill(at + here, at + kPanel, 0.0f);
    }
  }
  int64_t Place(int64_t d, int64_t panel) const {
    const int64_t rows = low_ ? kPanel / Pairs::kPer : kPanel;
    return (d / kPanel * count() + panel - panels_.begin) * rows * kPanel;
  }

  // The keys or values of a panel as they are, bfloat16: where they lie, or copied to rows_; what does not exist, or is not finite and seen
  // by nobody, as zeros.
  struct Low {
    const uint16_t* data;
    int64_t position;
  };
  template <class Seen>
  Low LowRows(const Vectors& from, int64_t panel, int64_t n, const Seen& seen) {
    if (Sure(panel) && (panel + 1) * kPanel <= sequence_->keys && ServesInPlace<Pairs>(from, n))
      return {reinterpret_cast<const uint16_t*>(Floats(from, panel)), from.position};
    auto* rows = reinterpret_cast<uint16_t*>(rows_.AtLeast(kPanel * std::max(problem_->value_dim, problem_->dim)));
    float* buffer = row_.AtLeast(n + kPanel);
    for (int64_t j = 0; j < kPanel; j++) {
      const int64_t key = panel * kPanel + j;
      uint16_t* to = rows + j * n;
      const bool sure = key >= sure_.begin && key < sure_.end;
      if (!sure && (key >= sequence_->keys || !Load(from, key, n, buffer, seen))) {
        std::fill_n(to, n, uint16_t{0});
      } else {
        std::memcpy(to, At(from, KeyRow(*problem_, *sequence_, key), head_, sequence_->key_start + key), static_cast<size_t>(n) * 2);
      }
    }
    return {rows, n};
  }

  // Those rows, two and two, to the panel's place in `to`, (n / 64, keys / 2, 64).
  void PairRows(Low rows, int64_t n, int64_t panel, Storage& to) {
    for (int64_t d = 0; d < n; d += kPanel) {
      auto* pairs = reinterpret_cast<uint32_t*>(to.AtLeast(0) + Place(d, panel));
      const int64_t here = std::min(kPanel, n - d);
      for (int64_t j = 0; j < kPanel; j += 2, pairs += kPanel) {
        const uint16_t *first = rows.data + j * rows.position + d, *second = first + rows.position;
        for (int64_t i = 0; i < here; i++) pairs[i] = static_cast<uint32_t>(first[i]) | static_cast<uint32_t>(second[i]) << 16;
      }
    }
  }

  // Those rows, of which pairs of dimensions become rows.
  void PairsAcross(Low rows, int64_t n, float* to) {
    const int64_t pairs = n / Pairs::kPer;
    LayOut({reinterpret_cast<const float*>(rows.data), rows.position / Pairs::kPer, 1}, kPanel, 0, pairs, kPanel, to);
  }

  template <class Seen>
  void FetchLow(int64_t panel, const Seen& seen) {
    const Problem& p = *problem_;
    const int64_t at = panel - panels_.begin;
    const Low keys = LowRows(p.key, panel, p.dim, seen);
    PairsAcross(keys, p.dim, keys_across_.AtLeast(0) + at * p.dim * kPanel);
    if (!backward_) return;
    PairRows(keys, p.dim, panel, keys_along_);
    PairsAcross(LowRows(p.value, panel, p.value_dim, seen), p.value_dim, values_.AtLeast(0) + at * p.value_dim * kPanel);
  }

  float* Stripe(Storage& s, int64_t d, int64_t panel) {
    return s.AtLeast(0) + (d / kStripe * count() + panel - panels_.begin) * kPanel * kStripe;
  }

  const Problem* problem_ = nullptr;
  const Sequence* sequence_ = nullptr;
  int64_t head_ = 0;
  Interval panels_, sure_;
  bool backward_ = false, low_ = false, one_row_ = false, keys_in_place_ = false, values_in_place_ = false;
  static constexpr char kKeys = 1, kValues = 2, kKeysAlong = 4;  // bits of ready_: what of a panel was laid out
  std::vector<char> ready_, direct_;
  std::vector<float> squares_;
  Storage rows_, row_, keys_across_, keys_along_, values_;
};

}  // namespace fused
}  // namespace attend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
