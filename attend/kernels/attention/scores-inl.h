// Scores of a tile of queries, and their gradients, per instruction-set target: products, additive scores, given ones.
#if defined(ATTEND_KERNELS_ATTENTION_SCORES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTEND_KERNELS_ATTENTION_SCORES_INL_H_
#undef ATTEND_KERNELS_ATTENTION_SCORES_INL_H_
#else
#define ATTEND_KERNELS_ATTENTION_SCORES_INL_H_
#endif

#include "attend/kernels/attention/memory-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attend::kernels::HWY_NAMESPACE {
namespace fused {

// x, at most `limit`; NaN stays NaN.
HWY_INLINE V AtMost(V x, V limit) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
  return hn::Min(limit, x);  // of two operands, x86 takes the second when one is NaN
#else
  return hn::IfThenElse(hn::Gt(x, limit), limit, x);
#endif
}

HWY_INLINE V AtLeast(V x, V limit) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
  return hn::Max(limit, x);
#else
  return hn::IfThenElse(hn::Lt(x, limit), limit, x);
#endif
}

// v tanh(q + k) summed over the dimensions, without a transcendental a pair (KERNELS, "Additive attention"): tanh x = 1 - 2 / (1 + e^2x),
// and e^2(q + k) = e^2q e^2k. With w = |v| / 2^e the terms w / (1 + e^2q e^2k) = 1 / (a + b e^2k) for a = 1 / w, b = a e^2q; two share a
// division: 1/x0 + 1/x1 = (x0 + x1) / (x0 x1), x limited to 2^62 so that no product overflows. What has v < 0 is subtracted.
class Additive {
 public:
  // v (dim): dimensions in pairs, those of v >= 0 first.
  void Start(const float* v, int64_t dim) {
    v_ = v;
    dim_ = dim;
    float most = 0;
    finite = true;
    for (int64_t d = 0; d < dim; d++) {
      most = std::max(most, std::abs(v[d]));
      finite = finite && std::isfinite(v[d]);
    }
    const float power = finite && most > 0 ? std::ldexp(1.0f, std::ilogb(most)) : 1;
    index.clear();
    reciprocal.clear();
    double sum = 0;
    for (const bool positive : {true, false}) {
      for (int64_t d = 0; d < dim; d++) {
        if ((v[d] >= 0) != positive) continue;
        const float w = std::abs(v[d]) / power;
        index.push_back(static_cast<int32_t>(d));
        reciprocal.push_back(w > 1 / kLimit ? 1 / w : kLimit);
        sum += static_cast<double>(v[d] / power);
      }
      if (index.size() % 2) {  // a dimension that counts for nothing: 1 / 2^62
        index.push_back(0);
        reciprocal.push_back(-1);
      }
      if (positive) positives = static_cast<int64_t>(index.size());
    }
    pairs_ = static_cast<int64_t>(index.size());
    index.resize(index.size() + static_cast<size_t>(kLanes), 0);
    reciprocal.resize(index.size(), -1);
    // The sum starts at the value that tanh = 0 gives, so that it stays small and its roundings with it.
    start = static_cast<float>(-0.5 * sum);
    factor = -2 * power;
  }

  // exp (dim): e^2q -> b, a row of pairs() numbers; up to a vector beyond is written too.
  HWY_ATTR void Row(const float* exp, float* b) const {
    const hn::RebindToSigned<F> di;
    const V most = hn::Set(df, 1e38f);
    const int64_t n = pairs();
    for (int64_t t = 0; t < n; t += kLanes) {
      const V r = hn::LoadU(df, reciprocal.data() + t), x = hn::GatherIndex(df, exp, hn::LoadU(di, index.data() + t));
      hn::StoreU(hn::IfThenZeroElse(hn::Lt(r, hn::Zero(df)), AtMost(hn::Mul(x, r), most)), df, b + t);
    }
  }
  int64_t pairs() const { return pairs_; }
  float A(int64_t t) const { return reciprocal[static_cast<size_t>(t)] < 0 ? kLimit : reciprocal[static_cast<size_t>(t)]; }

  // s (rows, 64) from b (rows, pairs()) and e^2k (dim, 64).
  void Scores(const float* b, int64_t rows, const float* keys, float* s, Ahead& ahead) {
    const auto n = static_cast<size_t>(pairs());
    a_.resize(n);
    offset_.resize(n);
    for (size_t t = 0; t < n; t++) {
      a_[t] = A(static_cast<int64_t>(t));
      offset_[t] = index[t] * kPanel;
    }
    constexpr int kRows = HWY_TARGET <= HWY_AVX3 ? 3 : 2;
    int64_t r = 0;
    for (; r + kRows <= rows; r += kRows) {
      ahead.Ask();
      Panel<kRows>(b + r * pairs(), keys, s + r * kPanel);
    }
    for (; r < rows; r++) Panel<1>(b + r * pairs(), keys, s + r * kPanel);
  }

  // The same of queries and keys beyond the range of the exponentials: q (dim), keys (dim, 64) as they are, s (64).
  void DirectScores(const float* q, const float* keys, float* s) const {
    for (int64_t c = 0; c < kPanel; c += kLanes) {
      V sum = hn::Zero(df);
      for (int64_t d = 0; d < dim_; d++)
        sum = hn::MulAdd(hn::Set(df, v_[d]), Tanh(df, hn::Add(hn::Set(df, q[d]), hn::LoadU(df, keys + d * kPanel + c))), sum);
      hn::StoreU(sum, df, s + c);
    }
  }

  bool finite = true;

 private:
  static constexpr float kLimit = 0x1p62f;

  template <int kRows>
  void Panel(const float* b, const float* keys, float* s) const {
    constexpr int kColumns = HWY_TARGET <= HWY_AVX3 ? 4 : 2;
    constexpr int64_t kStep = kColumns * kLanes;
    for (int64_t c = 0; c < kPanel; c += kStep) {
      V sum[kRows][kColumns];
      ATTEND_UNROLL for (int r = 0; r < kRows; r++) ATTEND_UNROLL for (int v = 0; v < kColumns; v++) sum[r][v] = hn::Set(df, start);
      Terms<kRows, kColumns, false>(b, keys + c, 0, positives, sum);
      Terms<kRows, kColumns, true>(b, keys + c, positives, pairs(), sum);
      ATTEND_UNROLL for (int r = 0; r < kRows; r++) ATTEND_UNROLL for (int v = 0; v < kColumns; v++)
          hn::StoreU(hn::Mul(hn::Set(df, factor), sum[r][v]), df, s + r * kPanel + c + v * kLanes);
    }
  }

  template <int kRows, int kColumns, bool kSubtract>
  HWY_INLINE void Terms(const float* b, const float* keys, int64_t from, int64_t to, V (&sum)[kRows][kColumns]) const {
    const V limit = hn::Set(df, kLimit);
    const int64_t row = pairs();
    for (int64_t t = from; t < to; t += 2) {
      const float *k0 = keys + offset_[static_cast<size_t>(t)], *k1 = keys + offset_[static_cast<size_t>(t + 1)];
      const V a0 = hn::Set(df, a_[static_cast<size_t>(t)]), a1 = hn::Set(df, a_[static_cast<size_t>(t + 1)]);
      V e0[kColumns], e1[kColumns];
      ATTEND_UNROLL for (int v = 0; v < kColumns; v++) {
        e0[v] = hn::LoadU(df, k0 + v * kLanes);
        e1[v] = hn::LoadU(df, k1 + v * kLanes);
      }
      ATTEND_UNROLL for (int r = 0; r < kRows; r++) {
        const V b0 = hn::Set(df, b[r * row + t]), b1 = hn::Set(df, b[r * row + t + 1]);
        ATTEND_UNROLL for (int v = 0; v < kColumns; v++) {
          const V x0 = AtMost(hn::MulAdd(b0, e0[v], a0), limit), x1 = AtMost(hn::MulAdd(b1, e1[v], a1), limit);
          const V term = hn::Div(hn::Add(x0, x1), hn::Mul(x0, x1));
          sum[r][v] = kSubtract ? hn::Sub(sum[r][v], term) : hn::Add(sum[r][v], term);
        }
      }
    }
  }

  const float* v_ = nullptr;
  int64_t dim_ = 0, positives = 0;
  int64_t pairs_ = 0;
  std::vector<int32_t> index;  // dimension of each term; both and `reciprocal` go on for a vector
  std::vector<int64_t> offset_;
  std::vector<float> reciprocal, a_;  // a; -1: no dimension
  float start = 0, factor = 0;
};

// With r = 1 / (1 + e^2(q + k)), so that tanh = 1 - 2r and its derivative 4 r (1 - r), and g = ds: sums of h = g r, and of h - h r over the
// keys, and over the queries times `four_v`. query (kRows, ..): e^2q, or with kDirect q, 16 dimensions of each row; key (keys, 16) alike.
template <int kRows, bool kDirect>
HWY_INLINE void AdditiveGradientRows(const float* query, int64_t query_row, const float* key, int64_t keys, const float* g,
                                     const float* four_v, float* dq, int64_t dq_row, float* dk, float* h_sum) {
  const V one = hn::Set(df, 1.0f), limit = hn::Set(df, 0x1p62f);
  for (int64_t c = 0; c < kStripe; c += kLanes) {
    V q[kRows], sum[kRows], total = hn::LoadU(df, h_sum + c);
    const V v = hn::LoadU(df, four_v + c);
    ATTEND_UNROLL for (int r = 0; r < kRows; r++) {
      q[r] = hn::LoadU(df, query + r * query_row + c);
      sum[r] = hn::LoadU(df, dq + r * dq_row + c);
    }
    for (int64_t j = 0; j < keys; j++) {
      const V k = hn::LoadU(df, key + j * kStripe + c);
      V of_key = hn::Zero(df);
      ATTEND_UNROLL for (int r = 0; r < kRows; r += 2) {
        V r0, r1;
        if constexpr (kDirect) {
          const V minus_two = hn::Set(df, -2.0f);
          r0 = Sigmoid(df, hn::Mul(minus_two, hn::Add(q[r], k)));
          r1 = Sigmoid(df, hn::Mul(minus_two, hn::Add(q[r + 1], k)));
        } else {
          const V x0 = AtMost(hn::MulAdd(q[r], k, one), limit), x1 = AtMost(hn::MulAdd(q[r + 1], k, one), limit);
          const V both = hn::Div(one, hn::Mul(x0, x1));
          r0 = hn::Mul(both, x1);
          r1 = hn::Mul(both, x0);
        }
        const V h0 = hn::Mul(hn::Set(df, g[r * kPanel + j]), r0), h1 = hn::Mul(hn::Set(df, g[(r + 1) * kPanel + j]), r1);
        total = hn::Add(total, hn::Add(h0, h1));
        const V g0 = hn::NegMulAdd(h0, r0, h0), g1 = hn::NegMulAdd(h1, r1, h1);
        sum[r] = hn::Add(sum[r], g0);
        sum[r + 1] = hn::Add(sum[r + 1], g1);
        of_key = hn::Add(of_key, hn::Add(g0, g1));
      }
      hn::StoreU(hn::MulAdd(v, of_key, hn::LoadU(df, dk + j * kStripe + c)), df, dk + j * kStripe + c);
    }
    hn::StoreU(total, df, h_sum + c);
    ATTEND_UNROLL for (int r = 0; r < kRows; r++) hn::StoreU(sum[r], df, dq + r * dq_row + c);
  }
}

// rows: a multiple of 2; those beyond the tile have g = 0.
template <bool kDirect>
HWY_NOINLINE void AdditiveGradient(const float* query, int64_t query_row, int64_t rows, const float* key, int64_t keys, const float* g,
                                   const float* four_v, float* dq, int64_t dq_row, float* dk, float* h_sum) {
  int64_t r = 0;
  constexpr int kRows = HWY_TARGET <= HWY_AVX3 ? 8 : 4;
  for (; r + kRows <= rows; r += kRows)
    AdditiveGradientRows<kRows, kDirect>(query + r * query_row, query_row, key, keys, g + r * kPanel, four_v, dq + r * dq_row, dq_row, dk,
                                         h_sum);
  for (; r < rows; r += 2)
    AdditiveGradientRows<2, kDirect>(query + r * query_row, query_row, key, keys, g + r * kPanel, four_v, dq + r * dq_row, dq_row, dk,
                                     h_sum);
}

}  // namespace fused
}  // namespace attend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
