// A tile of queries of one head: its scores, and what a normaliser makes of a row of them, per instruction-set target.
#if defined(ATTEND_KERNELS_ATTENTION_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTEND_KERNELS_ATTENTION_TILE_INL_H_
#undef ATTEND_KERNELS_ATTENTION_TILE_INL_H_
#else
#define ATTEND_KERNELS_ATTENTION_TILE_INL_H_
#endif

#include <cmath>
#include <limits>

#include "attend/kernels/attention/scores-inl.h"
#include "attend/kernels/dropout-inl.h"
#include "attend/kernels/random.h"

HWY_BEFORE_NAMESPACE();
namespace attend::kernels::HWY_NAMESPACE {
namespace fused {

constexpr float kLog2E = 1.44269504088896341f, kLn2 = 0.693147180559945309f;
constexpr float kHidden = -std::numeric_limits<float>::infinity();
constexpr uint32_t kDropoutStream = 0, kSampleStream = 1;  // ops/philox.h

#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
// 2^x within 2 ulp; NaN stays NaN. x is cut at its floor by the instructions that AVX-512 has for it, written out because Highway 1.0.3
// has them not; on [0, 1) the polynomial with 1 at 0 whose largest relative error is the least, 8.2e-8.
HWY_INLINE V Exp2(V x) {
  V f;
  asm("vreduceps $9, %1, %0" : "=v"(f.raw) : "v"(x.raw));  // x - floor(x); 0 of an infinity
  V p = hn::Set(df, 1.867130069870744e-3f);
  p = hn::MulAdd(p, f, hn::Set(df, 9.017030322455518e-3f));
  p = hn::MulAdd(p, f, hn::Set(df, 5.579991310372876e-2f));
  p = hn::MulAdd(p, f, hn::Set(df, 2.401644501550921e-1f));
  p = hn::MulAdd(p, f, hn::Set(df, 6.931513118046011e-1f));
  p = hn::MulAdd(p, f, hn::Set(df, 1.0f));
  asm("vscalefps %1, %0, %0" : "+v"(p.raw) : "v"(x.raw));  // p 2^floor(x)
  return p;
}
#else
// 2^x for x <= 1 or so, within 1 ulp from -126 on; 0 from -127 down, less than 2^-125 between. NaN stays NaN.
HWY_INLINE V Exp2(V x) {
  const hn::RebindToSigned<F> di;
  const V in = AtLeast(x, hn::Set(df, -127.0f));
  const V magic = hn::Set(df, 12582912.0f);  // 1.5 * 2^23: rounds to an integer in the low bits
  const V t = hn::Add(in, magic);
  const V f = hn::Sub(in, hn::Sub(t, magic));
  V p = hn::Set(df, 1.535336188319500e-4f);  // Cephes exp2f
  p = hn::MulAdd(p, f, hn::Set(df, 1.339887440266574e-3f));
  p = hn::MulAdd(p, f, hn::Set(df, 9.618437357674640e-3f));
  p = hn::MulAdd(p, f, hn::Set(df, 5.550332471162809e-2f));
  p = hn::MulAdd(p, f, hn::Set(df, 2.402264791363012e-1f));
  p = hn::MulAdd(p, f, hn::Set(df, 6.931472028550421e-1f));
  p = hn::MulAdd(p, f, hn::Set(df, 1.0f));
  return hn::BitCast(df, hn::Add(hn::BitCast(di, p), hn::ShiftLeft<23>(hn::BitCast(di, t))));
}
#endif

HWY_INLINE float LargestOf(V x) {
#if HWY_TARGET == HWY_EMU128  // whose MaxOfLanes knows nothing below the least finite number
  float lanes[kLanes];
  hn::StoreU(x, df, lanes);
  return *std::max_element(lanes, lanes + kLanes);
#else
  return hn::GetLane(hn::MaxOfLanes(df, x));
#endif
}

HWY_INLINE float SumOf(V x) { return hn::GetLane(hn::SumOfLanes(df, x)); }

// The largest of what it was shown; NaN where one was.
class Largest {
 public:
  HWY_INLINE Largest() : most_(hn::Set(df, kHidden)), other_(hn::FirstN(df, 0)) {}
  HWY_INLINE void Add(V x) {
    other_ = hn::Or(other_, hn::IsNaN(x));  // Ne(x, x) is false of NaN on x86
    most_ = hn::Max(most_, x);
  }
  HWY_INLINE float Get() const { return hn::AllFalse(df, other_) ? LargestOf(most_) : std::numeric_limits<float>::quiet_NaN(); }

 private:
  V most_;
  hn::Mask<F> other_;
};

// 64 numbers times 64 others, in place.
HWY_INLINE void MultiplyPanel(const float* by, float* row) {
  for (int64_t v = 0; v < kPanel; v += kLanes) hn::StoreU(hn::Mul(hn::LoadU(df, row + v), hn::LoadU(df, by + v)), df, row + v);
}

// Lanes [v, v + kLanes) of 64 bits.
HWY_INLINE hn::Mask<F> LanesOf(const uint8_t* bits, int64_t v) {
  if constexpr (kLanes >= 8) return hn::LoadMaskBits(df, bits + v / 8);
  uint8_t few[8] = {static_cast<uint8_t>(bits[v / 8] >> v % 8)};
#if HWY_TARGET == HWY_SCALAR
  return hn::FirstN(df, static_cast<size_t>(few[0] & 1));
#else
  return hn::LoadMaskBits(df, few);
#endif
}

class Tile {
 public:
  // most: panels of a span; 0: no limit. pairs: products take bfloat16. few: keys are read where they lie (few-inl.h).
  void Start(const Problem& p, const Sequence& s, Memory& memory, Additive& additive, const Visibility& visible, int64_t of_head,
             int64_t first, int64_t count, int64_t most, bool few, bool pairs, bool backward) {
    problem = &p;
    sequence = &s;
    memory_ = &memory;
    additive_ = &additive;
    head = of_head;
    begin = first;
    rows = count;
    low = pairs;
    plan.Make(visible, begin, rows, most);
    unit = p.normaliser == Normaliser::softmax || p.normaliser == Normaliser::sigmoid ? kLog2E : 1;
    const bool layer_scale = p.score == Score::cosine || p.score == Score::euclidean;
    scale = layer_scale ? p.param[head * p.param_head] : p.score == Score::dot ? p.scale : 1;
    masked_factor_ = IsBiased(p) || p.score == Score::euclidean || !(scale > 0) ? 1 : unit * scale;
    const bool product = p.score == Score::dot || p.score == Score::cosine;
    most_wanted_ = !backward && most > 0 && product && !few && p.dim > 0 && p.normaliser == Normaliser::softmax && masked_factor_ != 1;
    most_of_all_ = false;
    for (int64_t r = 0; r < rows; r++) seen[r] = plan.Count(r);
    if (p.score != Score::given) few ? LoadFewQueries() : LoadQueries(backward);
    dropout_ = random::Dropout(p.dropout);
    kept_ = dropout_.threshold < 65536 ? dropout_.scale : 0;
  }

  // Raw scores of the keys of a span, to s (panels of the tile's rows of scores).
  template <class Seen>
  void Scores(const Span& span, float* s, const Seen& seen_by_any) {
    const Problem& p = *problem;
    float* most = nullptr;
    if (most_wanted_) {
      most = most_.AtLeast(kTileRows * kLanes);
      std::fill_n(most, rows * kLanes, kHidden);
      most_of_all_ = true;
      for (int64_t panel = span.begin; panel < span.end; panel++) most_of_all_ = most_of_all_ && plan.Whole(Column(span, panel));
    }
    for (int64_t panel = span.begin; panel < span.end; panel++) {
      memory_->Fetch(panel, seen_by_any);
      float* to = Row(s, Column(span, panel), 0);
      const int64_t columns = std::min(kPanel, sequence->seen - panel * kPanel);
      if (p.score == Score::given) {
        Given(panel, columns, to);
      } else if (p.score == Score::additive) {
        if (additive_->finite && !memory_->Direct(panel)) {
          additive_->Scores(terms_.AtLeast(0), rows, memory_->KeysAcross(panel), to, memory_->ahead);
        } else {
          DirectAdditive(panel, to);
        }
      } else if (p.dim == 0) {
        std::fill_n(to, rows * kPanel, 0.0f);
      } else {
        low ? PairProducts<Pairs>(Column(span, panel), query_rows_, memory_->KeysAcross(panel), p.dim, s, most)
            : PairProducts<Singles>(Column(span, panel), query_rows_, memory_->KeysAcross(panel), p.dim, s, most);
      }
    }
  }

  // The products of the rows of `left`, of n dimensions, and a panel's keys or values, (n, 64), to the panel's place in s; of keys
  // that a row does not see anything. most: as Multiply() has it, of a panel that all rows see.
  template <class Elements>
  void PairProducts(int64_t column, const Rows& left, const float* across, int64_t n, float* s, float* most = nullptr) const {
    if (!plan.Whole(column)) most = nullptr;
    plan.ForRows(column, 1, kMultiplyRows, [&](int64_t r, int64_t end, Interval keys) {
      const int64_t from = keys.begin / kLanes * kLanes;
      for (int64_t d = 0; d < n && !keys.empty(); d += kPanel)
        Multiply<Elements>({left.At(r, d), left.row, 1}, end - r, {across + d / Elements::kPer * kPanel + from},
                           std::min(kPanel, n - d) / Elements::kPer, keys.end - from, Row(s, column, r) + from, d > 0,
                           {d + kPanel >= n ? most : nullptr, &memory_->ahead});  // most: if any, of all rows
    });
  }

  // sums (panels of n dimensions, rows, 64) = or += a span's rows of s times the rows of `along`, which tells where dimensions from d on
  // are. Of pairs, s holds a row's in the place of its first floats.
  template <class Elements, class Along>
  void KeyProducts(const Span& span, const float* s, int64_t n, const Along& along, bool add, float* sums) const {
    plan.ForRows(span.column, span.end - span.begin, kMultiplyRows, [&](int64_t r, int64_t end, Interval keys) {
      for (int64_t d = 0; d < n; d += kPanel) {
        float* to = sums + d * kTileRows + r * kPanel;
        if (keys.empty()) {
          if (!add) std::fill_n(to, (end - r) * kPanel, 0.0f);
          continue;
        }
        const int64_t from = keys.begin / Elements::kPer, until = (keys.end + Elements::kPer - 1) / Elements::kPer;
        const int64_t panels = keys.begin / kPanel, within = from - panels * (kPanel / Elements::kPer);
        const Right right = along(d);
        Multiply<Elements>({Row(s, span.column + panels * kPanel, r), kPanel, 1, kTileRows * kPanel, within}, end - r,
                           {right.data + from * right.step, right.step}, until - from, std::min(kPanel, n - d), to, add,
                           {nullptr, &memory_->ahead});
      }
    });
  }

  void GivenScores(const Span& span, float* s) const {
    for (int64_t panel = span.begin; panel < span.end; panel++)
      Given(panel, std::min(kPanel, sequence->seen - panel * kPanel), Row(s, Column(span, panel), 0));
  }

  // Raw scores of a row become s in units of log e / log 2 (softmax, sigmoid) or 1, with scale and bias; what is hidden is -inf.
  void Finish(const Span& span, int64_t r, float* s) const {
    FinishWith(span, r, 0, s, [](V x, int64_t, int64_t) HWY_ATTR { return x; });
  }

  // The same, but where scores need no more than a factor above 0 it is left to Exponentials(). Returns the largest, with the factor; NaN
  // only where nothing else is above -inf.
  float MaskToMost(const Span& span, int64_t r, float* s) {
    V most = most_wanted_ ? hn::LoadU(df, most_.AtLeast(0) + r * kLanes) : hn::Set(df, kHidden);
    const int64_t from = span.column, to = from + (span.end - span.begin) * kPanel;
    if (masked_factor_ != 1) {
      for (int64_t column = from; column < to && !most_of_all_; column += kPanel) {
        float* row = Row(s, column, r);
        if (plan.Whole(column)) {
          if (most_wanted_) continue;
          for (int64_t v = 0; v < kPanel; v += kLanes) most = hn::Max(hn::LoadU(df, row + v), most);
        } else {
          const uint64_t visible = plan.Visible(column, r);
          uint8_t bits[16];
          std::memcpy(bits, &visible, 8);
          for (int64_t v = 0; v < kPanel; v += kLanes) {
            const V x = hn::IfThenElse(LanesOf(bits, v), hn::LoadU(df, row + v), hn::Set(df, kHidden));
            hn::StoreU(x, df, row + v);
            most = hn::Max(x, most);
          }
        }
      }
    } else {
      FinishWith(span, r, 0, s, [&](V x, int64_t, int64_t) HWY_ATTR {
        most = hn::Max(x, most);
        return x;
      });
    }
    const float largest = masked_factor_ * LargestOf(most);
    return largest == kHidden ? Most(r, from, to, s) : largest;
  }
  float masked_factor() const { return masked_factor_; }

  // f(x - subtract, offset from s, key of the span) of each vector in its place.
  template <class Function>
  HWY_INLINE void FinishWith(const Span& span, int64_t r, float subtract, float* s, const Function& f) const {
    const Problem& p = *problem;
    const V factor = hn::Set(df, unit * scale), hidden = hn::Set(df, kHidden), minus = hn::Set(df, -subtract);
    for (int64_t panel = span.begin; panel < span.end; panel++) {
      const int64_t column = Column(span, panel);
      float* row = Row(s, column, r);
      const bool whole = plan.Whole(column), biased = IsBiased(p);
      if (whole && !biased && p.score != Score::euclidean) {
        ATTEND_UNROLL for (int64_t v = 0; v < kPanel; v += kLanes)
            hn::StoreU(f(hn::MulAdd(hn::LoadU(df, row + v), factor, minus), row + v - s, column - span.column + v), df, row + v);
        continue;
      }
      HWY_ALIGN float bias[kPanel];
      if (biased) Bias(panel, r, bias);
      uint8_t bits[16];
      if (!whole) {
        const uint64_t visible = plan.Visible(column, r);
        std::memcpy(bits, &visible, 8);
      }
      const float* squares = p.score == Score::euclidean ? memory_->Squares(panel) : nullptr;
      for (int64_t v = 0; v < kPanel; v += kLanes) {
        V x = hn::LoadU(df, row + v);
        if (squares) {  // -|q - k|^2 = 2 q.k - |q|^2 - |k|^2, at most 0
          const V distance = hn::NegMulAdd(hn::Set(df, 2.0f), x, hn::Add(hn::Set(df, square_[r]), hn::LoadU(df, squares + v)));
          x = hn::Neg(hn::IfThenElse(hn::Lt(distance, hn::Zero(df)), hn::Zero(df), distance));
        }
        x = hn::MulAdd(x, factor, minus);
        if (biased) x = hn::MulAdd(hn::Set(df, unit), hn::Load(df, bias + v), x);
        if (!whole) x = hn::IfThenElse(LanesOf(bits, v), x, hidden);
        hn::StoreU(f(x, row + v - s, column - span.column + v), df, row + v);
      }
    }
  }

  float Most(int64_t r, int64_t from, int64_t to, const float* s) const {
    Largest most;
    ForRow(r, from, to, [&](int64_t at) HWY_ATTR { most.Add(hn::LoadU(df, s + at)); });
    return most.Get();
  }

  // s -> 2^(factor s - most), halves: as bfloat16 (RowToHalves); returns the sum, in lanes.
  template <bool halves>
  V Exponentials(int64_t r, int64_t from, int64_t to, float factor, float most, float* s) const {
    constexpr int64_t kSums = std::min<int64_t>(4, kPanel / kLanes);
    V sum[kSums];
    ATTEND_UNROLL for (int64_t i = 0; i < kSums; i++) sum[i] = hn::Zero(df);
    const V times = hn::Set(df, factor), minus = hn::Set(df, -most);
    for (int64_t column = from; column < to; column += kPanel) {
      float* row = Row(s, column, r);
      for (int64_t v = 0; v < kPanel; v += kSums * kLanes) {
        V e[kSums];
        ATTEND_UNROLL for (int64_t i = 0; i < kSums; i++) {
          e[i] = Exp2(hn::MulAdd(times, hn::LoadU(df, row + v + i * kLanes), minus));
          sum[i] = hn::Add(sum[i], e[i]);
          if (!halves) hn::StoreU(e[i], df, row + v + i * kLanes);
        }
        ATTEND_UNROLL for (int64_t i = 0; halves && i < kSums; i += 2) StoreHalves(e[i], e[i + 1], row + (v + i * kLanes) / 2);
      }
    }
    ATTEND_UNROLL for (int64_t i = 1; i < kSums; i++) sum[0] = hn::Add(sum[0], sum[i]);
    return sum[0];
  }

  void Fill(int64_t r, int64_t from, int64_t to, float value, float* s) const {
    ForRow(r, from, to, [&](int64_t at) HWY_ATTR { hn::StoreU(hn::Set(df, value), df, s + at); });
  }

  void Scale(int64_t r, int64_t from, int64_t to, float factor, float* s) const {
    ForRow(r, from, to, [&](int64_t at) HWY_ATTR { hn::StoreU(hn::Mul(hn::Set(df, factor), hn::LoadU(df, s + at)), df, s + at); });
  }

  // 1 / (1 + n 2^-s): the sigmoid of s - log n for n visible keys.
  void Sigmoids(int64_t r, int64_t from, int64_t to, int64_t n, float* s) const {
    const V bias = hn::Set(df, std::log2(static_cast<float>(std::max<int64_t>(n, 1)))), one = hn::Set(df, 1.0f), most = hn::Set(df, 126.0f);
    ForRow(r, from, to, [&](int64_t at) HWY_ATTR {
      const V x = hn::LoadU(df, s + at), minus = AtMost(hn::Sub(bias, x), most);
      const V w = hn::Div(one, hn::Add(one, Exp2(minus)));
      hn::StoreU(hn::IfThenElse(hn::Eq(x, hn::Set(df, kHidden)), hn::Zero(df), w), df, s + at);
    });
  }

  // A whole row of scores -> its weights. Returns the lse of softmax in natural units, -inf where nothing is visible.
  float Normalise(int64_t r, float* s) const {
    const int64_t to = plan.width;
    if (problem->normaliser == Normaliser::sigmoid) {
      int64_t n = 0;
      ForRow(r, 0, to, [&](int64_t at) HWY_ATTR {
        n += static_cast<int64_t>(hn::CountTrue(df, hn::Not(hn::Eq(hn::LoadU(df, s + at), hn::Set(df, kHidden)))));
      });
      Sigmoids(r, 0, to, n, s);
      return 0;
    }
    const float most = Most(r, 0, to, s);
    if (most == kHidden) {
      Fill(r, 0, to, 0, s);
      return kHidden;
    }
    if (problem->normaliser == Normaliser::softmax) {
      const float sum = SumOf(Exponentials<false>(r, 0, to, 1, most, s));
      Scale(r, 0, to, 1 / sum, s);
      return (most + std::log2(sum)) * kLn2;
    }
    const bool sparse = problem->normaliser == Normaliser::sparsemax;
    const float tau = sparse ? Sparsemax(r, most, s) : Entmax(r, most, s);
    const V subtract = hn::Set(df, most), threshold = hn::Set(df, tau), half = hn::Set(df, 0.5f);
    ForRow(r, 0, to, [&](int64_t at) HWY_ATTR {
      V z = hn::Sub(hn::LoadU(df, s + at), subtract);
      if (!sparse) z = hn::Mul(z, half);
      V w = hn::Sub(z, threshold);
      w = hn::IfThenElse(hn::Lt(w, hn::Zero(df)), hn::Zero(df), w);
      hn::StoreU(sparse ? w : hn::Mul(w, w), df, s + at);
    });
    return 0;
  }

  // ds from the weights w and their gradient g, whole rows, to g (ops/normalisers/*.h). lse_grad: of softmax.
  void NormaliseBackward(int64_t r, const float* w, float lse_grad, float* g) const {
    const V zero = hn::Zero(df);
    switch (problem->normaliser) {
      case Normaliser::sigmoid:
        ForRow(r, 0, plan.width, [&](int64_t at) HWY_ATTR {
          const V x = hn::LoadU(df, w + at);
          hn::StoreU(hn::Mul(hn::LoadU(df, g + at), hn::NegMulAdd(x, x, x)), df, g + at);
        });
        return;
      case Normaliser::softmax:
        return WeightedBackward(r, w, lse_grad, g, [](V x) HWY_ATTR { return x; });
      case Normaliser::sparsemax:
        return WeightedBackward(r, w, 0, g, [=](V x) HWY_ATTR { return hn::IfThenElseZero(hn::Gt(x, zero), hn::Set(df, 1.0f)); });
      case Normaliser::entmax15:
        return WeightedBackward(r, w, 0, g, [](V x) HWY_ATTR { return hn::Sqrt(x); });
    }
  }

  // Draws the dropout of a span's keys for row r; Kept() then gives the factors of the keys from the j-th on, of a panel's 64 as they
  // stand.
  void Draw(const Span& span, int64_t r) {
    const int64_t n = (span.end - span.begin) * kPanel;
    draws_.resize(static_cast<size_t>(n));
    philox::DrawDropout(sequence->draws, Position(r), static_cast<uint32_t>(head), kDropoutStream, span.begin * kPanel / 8, n / 8,
                        draws_.data());
  }
  HWY_INLINE V Kept(int64_t j) const {
    const hn::RebindToSigned<F> di;
    const hn::Rebind<uint16_t, F> d16;
    const auto draws = hn::PromoteTo(di, hn::LoadU(d16, draws_.data() + j));
    const auto dropped = hn::Lt(draws, hn::Set(di, static_cast<int32_t>(dropout_.threshold)));
    return hn::IfThenZeroElse(hn::RebindMask(df, dropped), hn::Set(df, kept_));
  }
  // The same as a row, to keep.
  void Dropout(const Span& span, int64_t r, float* keep) {
    Draw(span, r);
    for (int64_t j = 0; j < (span.end - span.begin) * kPanel; j += kLanes) hn::StoreU(Kept(j), df, keep + j);
  }

  // exp(-2 (j - c)^2 / D^2) of a panel's keys, and j - c. The centre of a query that sees nothing may be anything.
  void Gaussian(int64_t panel, int64_t r, float* factors, float* distance) const {
    const Problem& p = *problem;
    const int64_t at = sequence->row * p.centers_batch + head * p.centers_head + sequence->query_start + begin + r;
    const float c = seen[r] > 0 ? p.centers[at] : 0;
    const V factor = hn::Set(df, -2 * kLog2E / (p.half_width * p.half_width));
    const V lane = hn::Iota(df, 0);
    for (int64_t v = 0; v < kPanel; v += kLanes) {
      const V x = hn::Sub(hn::Add(lane, hn::Set(df, static_cast<float>(panel * kPanel + v))), hn::Set(df, c));
      hn::Store(x, df, distance + v);
      hn::Store(Exp2(hn::Mul(factor, hn::Mul(x, x))), df, factors + v);
    }
  }

  // Draws of a Gumbel distribution (ops/philox.h) of a panel's keys.
  void Gumbel(int64_t panel, int64_t r, float* draws) const {
    for (int64_t j = 0; j < kPanel; j += 4) {
      const random::Counter words = random::Philox(
          {{static_cast<uint32_t>((panel * kPanel + j) / 4), Position(r), static_cast<uint32_t>(head), kSampleStream}}, sequence->draws);
      for (int64_t i = 0; i < 4; i++) draws[j + i] = static_cast<float>(-std::log(-std::log((words.v[i] + 0.5) * 0x1p-32)));
    }
  }

  // Rows of the tile's queries, or of gradients of their outputs, where they lie, if products can take them so; else null.
  template <class Elements>
  Rows InPlace(const Vectors& from, int64_t n) const {
    if (!from.data || !ServesInPlace<Elements>(from, n)) return {};
    for (int64_t r = 0; r < rows; r++)
      if (seen[r] == 0) return {};  // whose numbers must not be looked at
    return {reinterpret_cast<const float*>(At(from, sequence->row, head, Query(0))), from.position / Elements::kPer,
            kPanel / Elements::kPer};
  }

  // The rows of this tile, or of the next one, in what is read or written soon.
  void AskFor(const Vectors& from, int64_t n, bool next) const {
    const int64_t first = begin + (next ? rows : 0), count = std::min(next ? kTileRows : rows, sequence->queries - first);
    if (!from.data || count <= 0) return;
    memory_->ahead.Add(At(from, sequence->row, head, sequence->query_start + first), from.position * Size(from.type), n * Size(from.type),
                       count);
  }
  void AskFor(const MutableVectors& to, int64_t n) const { AskFor(Vectors{to.data, to.type, to.batch, to.head, to.position}, n, false); }

  // f(offset) for the vectors of row r in columns [from, to) of panels of scores.
  template <class Function>
  HWY_INLINE void ForRow(int64_t r, int64_t from, int64_t to, const Function& f) const {
    for (int64_t c = from; c < to; c += kPanel) {
      const int64_t at = c * kTileRows + r * kPanel;
      for (int64_t v = 0; v < kPanel; v += kLanes) f(at + v);
    }
  }
  // f(span, panel, column) for every panel.
  template <class Function>
  void ForPanels(const Function& f) const {
    for (const Span& span : plan.spans)
      for (int64_t panel = span.begin; panel < span.end; panel++) f(panel, Column(span, panel));
  }
  static int64_t Column(const Span& span, int64_t panel) { return span.column + (panel - span.begin) * kPanel; }
  static float* Row(float* s, int64_t column, int64_t r) { return s + column * kTileRows + r * kPanel; }
  static const float* Row(const float* s, int64_t column, int64_t r) { return s + column * kTileRows + r * kPanel; }

  int64_t Query(int64_t r) const { return sequence->query_start + begin + r; }  // in memory
  uint32_t Position(int64_t r) const { return static_cast<uint32_t>(sequence->offset + begin + r); }

  // Of product scores the queries; of additive ones e^2q and q, (rows, stride()).
  const Rows& query_rows() const { return query_rows_; }
  const float* queries() { return queries_.AtLeast(0); }
  const float* exponentials() { return exponentials_.AtLeast(0); }
  // Of few queries: q and, of additive scores, e^2q, a row (stride()).
  const float* QueryRow(int64_t r) { return queries_.AtLeast(0) + r * stride(); }
  const float* QueryExponentials(int64_t r) { return exponentials_.AtLeast(0) + r * stride(); }
  int64_t stride() const { return (problem->dim + kStripe - 1) / kStripe * kStripe; }
  float inverse(int64_t r) const { return inverse_[r]; }

  const Problem* problem = nullptr;
  const Sequence* sequence = nullptr;
  Plan plan;
  int64_t head = 0, begin = 0, rows = 0;
  float unit = 1, scale = 1;
  bool low = false;
  int64_t seen[kTileRows];  // keys that each query may see

 private:
  // A query as the score compares it, (D); zeros where it sees nothing.
  void LoadQuery(int64_t r, float* row) {
    const Problem& p = *problem;
    if (seen[r] > 0) {
      LoadRow(At(p.query, sequence->row, head, Query(r)), p.query.type, p.dim, row);
    } else {
      std::fill_n(row, p.dim, 0.0f);
    }
    if (p.score == Score::cosine) inverse_[r] = Unit(row, p.dim);
    if (p.score == Score::euclidean) square_[r] = Square(row, p.dim);
  }

  void LoadFewQueries() {
    const Problem& p = *problem;
    float *to = queries_.AtLeast(kTileRows * stride() + kPanel), *exp = nullptr;
    if (p.score == Score::additive) exp = exponentials_.AtLeast(kTileRows * stride() + kPanel);
    for (int64_t r = 0; r < rows; r++) {
      float* row = to + r * stride();
      LoadQuery(r, row);
      std::fill(row + p.dim, row + stride(), 0.0f);
      if (!exp) continue;
      std::copy_n(row, stride(), exp + r * stride());
      ExpTwice(exp + r * stride(), stride(), kQueryLimit);
    }
  }

  void LoadQueries(bool backward) {
    const Problem& p = *problem;
    if (p.score == Score::dot) {
      query_rows_ = low ? InPlace<Pairs>(p.query, p.dim) : InPlace<Singles>(p.query, p.dim);
      if (query_rows_.data) return;
    }
    const bool additive = p.score == Score::additive;
    float* row = row_.AtLeast(p.dim + kPanel);
    const int64_t even = rows + rows % 2;
    if (additive) {
      terms_.AtLeast(kTileRows * additive_->pairs() + kPanel);
      if (backward) exponentials_.AtLeast(kTileRows * stride());
      queries_.AtLeast(kTileRows * stride());
    } else {
      query_rows_ = {queries_.AtLeast(kTileRows * (p.dim + kPanel)), kPanel, kTileRows * kPanel};
    }
    if (low) {  // as they are
      for (int64_t r = 0; r < rows; r++) {
        const char* from = At(p.query, sequence->row, head, Query(r));
        if (seen[r] == 0) std::fill_n(row, p.dim, 0.0f);
        LowRowToPanels(seen[r] > 0 ? from : reinterpret_cast<const char*>(row), p.dim, kTileRows, r, queries_.AtLeast(0));
      }
      return;
    }
    for (int64_t r = 0; r < even; r++) {
      if (!additive && p.dim <= kPanel) {  // a row is a panel's
        if (r == rows) break;
        row = queries_.AtLeast(0) + r * kPanel;
        LoadQuery(r, row);
        std::fill(row + p.dim, row + kPanel, 0.0f);
        continue;
      }
      if (r < rows) {
        LoadQuery(r, row);
      } else {
        std::fill_n(row, p.dim, 0.0f);
      }
      if (!additive) {
        if (r == rows) break;
        RowToPanels(row, p.dim, kTileRows, r, queries_.AtLeast(0));
        continue;
      }
      std::fill_n(row + p.dim, stride() - p.dim, 0.0f);
      CopyRow(row, stride(), queries_.AtLeast(0) + r * stride());
      ExpTwice(row, stride(), kQueryLimit);
      if (backward) CopyRow(row, stride(), exponentials_.AtLeast(0) + r * stride());
      if (r < rows) additive_->Row(row, terms_.AtLeast(0) + r * additive_->pairs());
    }
  }

  void Given(int64_t panel, int64_t columns, float* to) const {
    const Vectors& from = problem->scores;
    for (int64_t r = 0; r < rows; r++) {
      LoadRow(At(from, sequence->row, head, begin + r) + panel * kPanel * Size(from.type), from.type, columns, to + r * kPanel);
      std::fill(to + r * kPanel + columns, to + (r + 1) * kPanel, 0.0f);
    }
  }

  void DirectAdditive(int64_t panel, float* to) {
    const float* keys = memory_->KeysAcross(panel);
    if (!memory_->Direct(panel)) {  // v is not finite: the keys are within the range, but the exponentials do not serve
      float* own = direct_.AtLeast(problem->dim * kPanel);
      for (int64_t i = 0; i < problem->dim * kPanel; i++) own[i] = 0.5f * std::log(keys[i]);
      keys = own;
    }
    for (int64_t r = 0; r < rows; r++) additive_->DirectScores(queries_.AtLeast(0) + r * stride(), keys, to + r * kPanel);
  }

  void Bias(int64_t panel, int64_t r, float* to) const {
    const int64_t first = panel * kPanel, n = std::min(kPanel, sequence->keys - first);
    std::fill(to, to + kPanel, 0.0f);
    if (const auto& bias = problem->bias; bias.data) {
      const float* from = bias.data + sequence->row * bias.batch + head * bias.head + (begin + r) * bias.query;
      for (int64_t j = 0; j < n; j++) to[j] = from[(first + j) * bias.key];
    }
    if (!problem->slopes) return;
    const V slope = hn::Set(df, problem->slopes[head]);
    const auto ahead = static_cast<float>(first - sequence->offset - begin - r);  // of the panel's first key
    for (int64_t v = 0; v < kPanel; v += kLanes) {
      const V distance = hn::Abs(hn::Iota(df, ahead + static_cast<float>(v)));
      hn::Store(hn::NegMulAdd(slope, distance, hn::Load(df, to + v)), df, to + v);
    }
  }

  // tau such that sum max(s - most - tau, 0) = 1, by shrinking the support until it stays (Michelot 1986): tau lies above -1.
  // A score that rounding alone puts above or below tau would come and go for ever: a support that grows again is one that stays.
  float Sparsemax(int64_t r, float most, const float* s) const {
    float tau = -1;
    for (int64_t last = std::numeric_limits<int64_t>::max();;) {
      int64_t n = 0;
      V sum = hn::Zero(df);
      const V threshold = hn::Set(df, tau), subtract = hn::Set(df, most);
      ForRow(r, 0, plan.width, [&](int64_t at) HWY_ATTR {
        const V z = hn::Sub(hn::LoadU(df, s + at), subtract);
        const auto in = hn::Gt(z, threshold);
        n += static_cast<int64_t>(hn::CountTrue(df, in));
        sum = hn::Add(sum, hn::IfThenElseZero(in, z));
      });
      if (n >= last || n == 0) return n == 0 ? most : tau;  // none: most is NaN or +inf
      last = n;
      tau = (SumOf(sum) - 1) / static_cast<float>(n);
    }
  }

  // tau such that sum max((s - most) / 2 - tau, 0)^2 = 1, by Newton's method from below, where the sum is convex and falls: -1 is below.
  float Entmax(int64_t r, float most, const float* s) const {
    float tau = -1;
    for (int step = 0; step < 50; step++) {
      V first = hn::Zero(df), second = hn::Zero(df);
      const V threshold = hn::Set(df, tau), subtract = hn::Set(df, most), half = hn::Set(df, 0.5f);
      ForRow(r, 0, plan.width, [&](int64_t at) HWY_ATTR {
        const V z = hn::MulSub(half, hn::Sub(hn::LoadU(df, s + at), subtract), threshold);
        const V in = hn::IfThenElseZero(hn::Gt(z, hn::Zero(df)), z);
        first = hn::Add(first, in);
        second = hn::MulAdd(in, in, second);
      });
      const float more = (SumOf(second) - 1) / (2 * SumOf(first));
      if (!(more > 2e-8f)) return more == more ? tau + more : most + more;
      tau += more;
    }
    return tau;
  }

  // g <- m (g - sum m g / sum m) + w lse_grad, m = mean(w).
  template <class Mean>
  void WeightedBackward(int64_t r, const float* w, float lse_grad, float* g, const Mean& mean) const {
    V dot = hn::Zero(df), sum = hn::Zero(df);
    ForRow(r, 0, plan.width, [&](int64_t at) HWY_ATTR {
      const V m = mean(hn::LoadU(df, w + at));
      dot = hn::MulAdd(m, hn::LoadU(df, g + at), dot);
      sum = hn::Add(sum, m);
    });
    const float total = SumOf(sum);
    const float average = total == 0 ? 0 : SumOf(dot) / (problem->normaliser == Normaliser::softmax ? 1 : total);
    const V subtract = hn::Set(df, average - lse_grad);
    ForRow(r, 0, plan.width, [&](int64_t at) HWY_ATTR {
      hn::StoreU(hn::Mul(mean(hn::LoadU(df, w + at)), hn::Sub(hn::LoadU(df, g + at), subtract)), df, g + at);
    });
  }

  Memory* memory_ = nullptr;
  Additive* additive_ = nullptr;
  random::Dropout dropout_{0};
  float kept_ = 1;
  bool most_wanted_ = false, most_of_all_ = false;  // Scores() finds the largest score of each row, where all rows see a panel
  float masked_factor_ = 1;                         // what MaskToMost() leaves to be multiplied with
  float square_[kTileRows], inverse_[kTileRows];
  std::vector<uint16_t> draws_;
  Rows query_rows_;
  Storage row_, most_, queries_, exponentials_, terms_, direct_;
};

}  // namespace fused
}  // namespace attend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
