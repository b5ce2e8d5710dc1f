// Few queries of many keys, as in a decoder's step: keys and values are read where they lie, per instruction-set target.
#if defined(ATTEND_KERNELS_ATTENTION_FEW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTEND_KERNELS_ATTENTION_FEW_INL_H_
#undef ATTEND_KERNELS_ATTENTION_FEW_INL_H_
#else
#define ATTEND_KERNELS_ATTENTION_FEW_INL_H_
#endif

#include "attend/kernels/attention/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attend::kernels::HWY_NAMESPACE {
namespace fused {

// x . y
HWY_INLINE float Dot(const float* x, const float* y, int64_t n) {
  V sum0 = hn::Zero(df), sum1 = sum0;
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    sum0 = hn::MulAdd(hn::LoadU(df, x + i), hn::LoadU(df, y + i), sum0);
    sum1 = hn::MulAdd(hn::LoadU(df, x + i + kLanes), hn::LoadU(df, y + i + kLanes), sum1);
  }
  for (; i + kLanes <= n; i += kLanes) sum0 = hn::MulAdd(hn::LoadU(df, x + i), hn::LoadU(df, y + i), sum0);
  float sum = SumOf(hn::Add(sum0, sum1));
  for (; i < n; i++) sum += x[i] * y[i];
  return sum;
}

// to += factor x; fresh: to = factor x
HWY_INLINE void AddScaled(float factor, const float* x, int64_t n, float* to, bool fresh = false) {
  if (fresh) {
    Lanes(n, [=](auto d, int64_t i) HWY_ATTR { hn::StoreU(hn::Mul(hn::Set(d, factor), hn::LoadU(d, x + i)), d, to + i); });
  } else {
    Lanes(n, [=](auto d, int64_t i)
                 HWY_ATTR { hn::StoreU(hn::MulAdd(hn::Set(d, factor), hn::LoadU(d, x + i), hn::LoadU(d, to + i)), d, to + i); });
  }
}

// How many values are added up while the sums are in registers.
constexpr int64_t kTogether = 4;

// to += sum_i w_i[at] x_i[d ..]
HWY_INLINE void AddScaledTogether(const float* const* x, const float* const* w, int64_t d, int64_t at, int64_t n, float* to) {
  const float f0 = w[0][at], f1 = w[1][at], f2 = w[2][at], f3 = w[3][at];
  const float *x0 = x[0] + d, *x1 = x[1] + d, *x2 = x[2] + d, *x3 = x[3] + d;
  Lanes(n, [=](auto v, int64_t i) HWY_ATTR {
    auto sum = hn::MulAdd(hn::Set(v, f0), hn::LoadU(v, x0 + i), hn::LoadU(v, to + i));
    sum = hn::MulAdd(hn::Set(v, f1), hn::LoadU(v, x1 + i), sum);
    sum = hn::MulAdd(hn::Set(v, f2), hn::LoadU(v, x2 + i), sum);
    hn::StoreU(hn::MulAdd(hn::Set(v, f3), hn::LoadU(v, x3 + i), sum), v, to + i);
  });
}

// Keys and values of one sequence and head, a row at a time.
class Few {
 public:
  void Start(const Problem& p, const Sequence& s, int64_t kv_head) {
    problem_ = &p;
    sequence_ = &s;
    head_ = kv_head;
  }

  // A head of additive scores: v, padded with zeros to whole stripes.
  void StartHead(const float* v) {
    const int64_t n = problem_->dim, width = Width();
    v_.assign(static_cast<size_t>(width), 0);
    std::copy_n(v, n, v_.data());
    finite_ = Finite(v, n);
    start_.resize(static_cast<size_t>(kLanes));
    V sum = hn::Zero(df);
    for (int64_t d = 0; d < width; d += kLanes) sum = hn::NegMulAdd(hn::Set(df, 0.5f), hn::LoadU(df, v_.data() + d), sum);
    hn::StoreU(sum, df, start_.data());
  }

  // Raw scores of a span's keys. Those that no query of the tile sees are not read.
  void Scores(Tile& tile, Memory& memory, const Span& span, float* s) {
    const Problem& p = *problem_;
    if (p.score == Score::given) return tile.GivenScores(span, s);
    ForKeys(tile, span, [&](int64_t panel, int64_t column, int64_t j) {
      float* to = Tile::Row(s, column, 0) + j;
      if (p.score == Score::additive) {
        AdditiveScores(tile, panel * kPanel + j, to);
        return;
      }
      const float* key = Row(p.key, panel * kPanel + j, p.dim, p.score == Score::cosine);
      if (p.score == Score::euclidean) memory.Squares(panel)[j] = Square(key, p.dim);
      for (int64_t r = 0; r < tile.rows; r++) to[r * kPanel] = Dot(tile.QueryRow(r), key, p.dim);
    });
  }

  // sums (rows, panels of value dimensions) += weights times values.
  void AddValues(Tile& tile, const Span& span, const float* weights, float* sums) {
    const Problem& p = *problem_;
    const float *value[kTogether], *w[kTogether];
    int64_t n = 0;
    const auto flush = [&]() HWY_ATTR {
      for (int64_t r = 0; r < tile.rows; r++)
        for (int64_t d = 0; d < p.value_dim; d += kPanel) {
          float* to = sums + (d * kTileRows + r * kPanel);
          if (n == kTogether) {
            AddScaledTogether(value, w, d, r * kPanel, std::min(kPanel, p.value_dim - d), to);
          } else {
            for (int64_t i = 0; i < n; i++) AddScaled(w[i][r * kPanel], value[i] + d, std::min(kPanel, p.value_dim - d), to);
          }
        }
      n = 0;
    };
    ForKeys(tile, span, [&](int64_t panel, int64_t column, int64_t j) {
      value[n] = Row(p.value, panel * kPanel + j, p.value_dim, false, n);
      w[n++] = Tile::Row(weights, column, 0) + j;
      if (n == kTogether) flush();
    });
    flush();
  }

  // Of the backward pass: the gradients of what is read, g_rj = do_r . v_j.
  void ValueScores(Tile& tile, const Span& span, const float* output_grad, float* g) {
    const Problem& p = *problem_;
    for (int64_t panel = span.begin; panel < span.end; panel++)
      std::fill_n(Tile::Row(g, Tile::Column(span, panel), 0), tile.rows * kPanel, 0.0f);
    ForKeys(tile, span, [&](int64_t panel, int64_t column, int64_t j) {
      const float* value = Row(p.value, panel * kPanel + j, p.value_dim, false);
      float* to = Tile::Row(g, column, 0) + j;
      for (int64_t r = 0; r < tile.rows; r++) {
        float sum = 0;
        for (int64_t d = 0; d < p.value_dim; d += kPanel)
          sum += Dot(output_grad + d * kTileRows + r * kPanel, value + d, std::min(kPanel, p.value_dim - d));
        to[r * kPanel] = sum;
      }
    });
  }

  // f(panel, column, j) for the keys of a span that some query of the tile sees.
  template <class Function>
  HWY_INLINE static void ForKeys(const Tile& tile, const Span& span, const Function& f) {
    for (int64_t panel = span.begin; panel < span.end; panel++) {
      const int64_t column = Tile::Column(span, panel);
      uint64_t any = 0;
      for (int64_t r = 0; r < tile.rows; r++) any |= tile.plan.Visible(column, r);
      for (; any; any &= any - 1) f(panel, column, static_cast<int64_t>(__builtin_ctzll(any)));
    }
  }

  // Key or value j, in single precision; unit: as a unit vector. One that is not read where it lies stays until the next one of its slot.
  const float* Row(const Vectors& from, int64_t j, int64_t n, bool unit, int64_t slot = 0) {
    const char* at = At(from, KeyRow(*problem_, *sequence_, j), head_, sequence_->key_start + j);
    if (from.type == Element::float32 && !unit) return reinterpret_cast<const float*>(at);
    float* row = row_[slot].AtLeast(n + kPanel);
    LoadRow(at, from.type, n, row);
    if (unit) Unit(row, n);
    return row;
  }

  // e^2k of additive scores, (whole stripes); null where the key lies beyond the range of the exponentials.
  const float* Exponentials(int64_t j) {
    const Problem& p = *problem_;
    const int64_t n = p.dim, width = Width();
    if (p.prepared.data) {
      const auto* row = reinterpret_cast<const float*>(At(p.prepared, KeyRow(p, *sequence_, j), head_, sequence_->key_start + j));
      if (n > 0 && row[0] != row[0]) return nullptr;
      return Padded(row, n, width, 1);
    }
    const float* key = Row(p.key, j, n, false);
    if (!WithinLimit(key, n)) return nullptr;
    float* row = padded_.AtLeast(width + kPanel);
    std::copy_n(key, n, row);
    std::fill(row + n, row + width, 0.0f);
    ExpTwice(row, width, kKeyLimit);
    return row;
  }
  // The key itself, padded.
  const float* PaddedKey(int64_t j) { return Padded(Row(problem_->key, j, problem_->dim, false), problem_->dim, Width(), 0); }

  // With r = 1 / (1 + e^2(q + k)) and g = ds of key j and each query: adds h = g r to h_sum, h - h r to dq, and four_v times the sum of
  // those to dk, of which stripe d begins at dk[d * dk_step] (scores-inl.h); fresh: writes them there; dk null: not wanted. dq: (rows,
  // Width()).
  void AdditiveGradients(Tile& tile, int64_t j, const float* g, const float* four_v, float* dq, float* dk, int64_t dk_step, bool fresh,
                         float* h_sum) {
    const int64_t width = Width();
    const float* key = Exponentials(j);
    const bool direct = !key;
    if (direct) key = PaddedKey(j);
    const V one = hn::Set(df, 1.0f), limit = hn::Set(df, 0x1p62f), minus_two = hn::Set(df, -2.0f);
    for (int64_t d = 0; d < width; d += kLanes) {
      const V k = hn::LoadU(df, key + d);
      V of_key = hn::Zero(df), total = hn::LoadU(df, h_sum + d);
      for (int64_t r = 0; r < tile.rows; r++) {
        const V q = hn::LoadU(df, (direct ? tile.QueryRow(r) : tile.QueryExponentials(r)) + d);
        const V share = direct ? Sigmoid(df, hn::Mul(minus_two, hn::Add(q, k))) : hn::Div(one, AtMost(hn::MulAdd(q, k, one), limit));
        const V h = hn::Mul(hn::Set(df, g[r * kPanel]), share), change = hn::NegMulAdd(h, share, h);
        total = hn::Add(total, h);
        of_key = hn::Add(of_key, change);
        hn::StoreU(hn::Add(hn::LoadU(df, dq + r * width + d), change), df, dq + r * width + d);
      }
      hn::StoreU(total, df, h_sum + d);
      if (!dk) continue;
      float* to = dk + d / kStripe * kStripe * dk_step + d % kStripe;
      const V before = fresh ? hn::Zero(df) : hn::LoadU(df, to);
      hn::StoreU(hn::MulAdd(hn::LoadU(df, four_v + d), of_key, before), df, to);
    }
  }

  int64_t Width() const { return (problem_->dim + kStripe - 1) / kStripe * kStripe; }

 private:
  const float* Padded(const float* row, int64_t n, int64_t width, float with) {
    if (n == width) return row;
    float* to = padded_.AtLeast(width + kPanel);
    std::copy_n(row, n, to);
    std::fill(to + n, to + width, with);
    return to;
  }

  // v . tanh(q + k) with all dimensions of a row at once (scores-inl.h): 1/x0 and 1/x1 share a division.
  void AdditiveScores(Tile& tile, int64_t j, float* to) {
    const int64_t width = Width();
    const float* key = finite_ ? Exponentials(j) : nullptr;
    if (!key) {
      key = PaddedKey(j);
      for (int64_t r = 0; r < tile.rows; r++) {
        const float* q = tile.QueryRow(r);
        V sum = hn::Zero(df);
        for (int64_t d = 0; d < width; d += kLanes)
          sum = hn::MulAdd(hn::LoadU(df, v_.data() + d), Tanh(df, hn::Add(hn::LoadU(df, q + d), hn::LoadU(df, key + d))), sum);
        to[r * kPanel] = SumOf(sum);
      }
      return;
    }
    const V one = hn::Set(df, 1.0f), limit = hn::Set(df, 0x1p62f), start = hn::LoadU(df, start_.data());
    for (int64_t r = 0; r < tile.rows; r++) {
      const float* q = tile.QueryExponentials(r);
      V sum = start;
      int64_t d = 0;
      for (; d + 2 * kLanes <= width; d += 2 * kLanes) {
        const V x0 = AtMost(hn::MulAdd(hn::LoadU(df, q + d), hn::LoadU(df, key + d), one), limit),
                x1 = AtMost(hn::MulAdd(hn::LoadU(df, q + d + kLanes), hn::LoadU(df, key + d + kLanes), one), limit);
        const V both = hn::MulAdd(hn::LoadU(df, v_.data() + d), x1, hn::Mul(hn::LoadU(df, v_.data() + d + kLanes), x0));
        sum = hn::Add(sum, hn::Div(both, hn::Mul(x0, x1)));
      }
      for (; d < width; d += kLanes)
        sum = hn::Add(sum,
                      hn::Div(hn::LoadU(df, v_.data() + d), AtMost(hn::MulAdd(hn::LoadU(df, q + d), hn::LoadU(df, key + d), one), limit)));
      to[r * kPanel] = -2 * SumOf(sum);
    }
  }

  const Problem* problem_ = nullptr;
  const Sequence* sequence_ = nullptr;
  int64_t head_ = 0;
  bool finite_ = true;
  std::vector<float> v_, start_;
  Storage row_[kTogether], padded_;
};

}  // namespace fused
}  // namespace attend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
