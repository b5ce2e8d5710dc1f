// The forward pass of a range of queries that share keys, per instruction-set target.
#if defined(ATTEND_KERNELS_ATTENTION_FORWARD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTEND_KERNELS_ATTENTION_FORWARD_INL_H_
#undef ATTEND_KERNELS_ATTENTION_FORWARD_INL_H_
#else
#define ATTEND_KERNELS_ATTENTION_FORWARD_INL_H_
#endif

#include "attend/kernels/attention/few-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attend::kernels::HWY_NAMESPACE {
namespace fused {

// Panels of keys whose scores are held at once where a row need not be seen as a whole; of the backward pass, which holds their gradients
// too.
constexpr int64_t kSpanPanels = 16, kBackwardSpanPanels = 2;

// Rows that go through each step of softmax together: one does not wait for another.
constexpr int64_t kTogetherRows = 16;

class ForwardPass {
 public:
  void Run(const Problem& p, const Outputs& out, const Share& share) {
    const std::vector<Visibility> visible = VisibilityOfHeads(p, share);
    few_ = IsFew(p, share);
    const bool low = !few_ && TakesPairs(p);
    memory_.Start(p, *share.sequence, share.kv_head, HullOf(visible, share), few_, low, /*backward=*/false);
    if (few_) rows_.Start(p, *share.sequence, share.kv_head);
    const bool streams =
        p.readout == Readout::soft && !out.weights.data &&
        (p.normaliser == Normaliser::softmax || (p.normaliser == Normaliser::sigmoid && !IsBiased(p) && p.score != Score::given));
    const auto seen = [&](int64_t key) { return SeenByAny(visible, key); };
    for (size_t g = 0; g < visible.size(); g++) {
      const int64_t head = share.kv_head * static_cast<int64_t>(visible.size()) + static_cast<int64_t>(g);
      if (p.score == Score::additive)
        few_ ? rows_.StartHead(p.param + head * p.param_head) : additive_.Start(p.param + head * p.param_head, p.dim);
      for (int64_t q = share.begin; q < share.end; q += kTileRows) {
        tile_.Start(p, *share.sequence, memory_, additive_, visible[g], head, q, std::min(kTileRows, share.end - q),
                    streams ? kSpanPanels : 0, few_, low, /*backward=*/false);
        sums_.AtLeast(kTileRows * (p.value_dim + kPanel));
        scores_.AtLeast((streams ? kSpanPanels * kPanel : tile_.plan.width) * kTileRows + kPanel);
        streams ? Stream(out, seen) : Whole(out, seen);
      }
    }
    memory_.GiveBack();
    scores_.GiveBack();
  }

 private:
  // Span by span: softmax keeps the largest score and the sum of a row so far (Milakov and Gimelshein 2018).
  template <class Seen>
  void Stream(const Outputs& out, const Seen& seen) {
    const Problem& p = *tile_.problem;
    const bool softmax = p.normaliser == Normaliser::softmax, halves = tile_.low && softmax && !p.centers && p.dropout == 0;
    float most[kTileRows], *s = scores_.AtLeast(0), *sums = row_sums_.AtLeast(kTileRows * kLanes);
    std::fill_n(most, tile_.rows, kHidden);
    std::fill_n(sums, tile_.rows * kLanes, 0.0f);
    bool first = true;
    for (const Span& span : tile_.plan.spans) {
      const int64_t width = (span.end - span.begin) * kPanel, column = span.column;
      float* here = s - column * kTileRows;  // as if the whole row were there
      Scores(span, here, seen);
      for (int64_t begin = 0; begin < tile_.rows; begin += kTogetherRows) {
        const int64_t end = std::min(tile_.rows, begin + kTogetherRows);
        if (softmax) {
          HWY_ALIGN float weights[kTogetherRows];  // of what was summed before
          for (int64_t r = begin; r < end; r++) {
            const float now = tile_.MaskToMost(span, r, here), before = most[r];
            most[r] = before > now ? before : now;
            weights[r - begin] = before == most[r] ? 0 : before - most[r];
          }
          for (int64_t v = 0; v < kTogetherRows; v += kLanes) hn::Store(Exp2(hn::Load(df, weights + v)), df, weights + v);
          for (int64_t r = begin; r < end; r++) {
            if (most[r] == kHidden) {
              tile_.Fill(r, column, column + width, 0, here);
              continue;
            }
            const float weight = weights[r - begin];
            const V more = halves ? tile_.Exponentials<true>(r, column, column + width, tile_.masked_factor(), most[r], here)
                                  : tile_.Exponentials<false>(r, column, column + width, tile_.masked_factor(), most[r], here);
            float* sum = sums + r * kLanes;
            hn::StoreU(hn::MulAdd(hn::Set(df, weight), hn::LoadU(df, sum), more), df, sum);
            if (weight != 1 && !first) ScaleSums(r, weight);
          }
        } else {
          for (int64_t r = begin; r < end; r++) {
            tile_.Finish(span, r, here);
            tile_.Sigmoids(r, column, column + width, tile_.seen[r], here);
          }
        }
        for (int64_t r = begin; r < end && (p.centers || p.dropout > 0); r++) {
          if (p.centers) MultiplyByGaussian(tile_, span, r, here);
          if (p.dropout > 0) Drop(span, r, here);
        }
      }
      if (!few_ && &span == &tile_.plan.spans.back()) {
        tile_.AskFor(p.query, p.dim, /*next=*/true);
        tile_.AskFor(out.output, p.value_dim);
      }
      AddValues(span, here, halves, first, seen);
      first = false;
    }
    for (int64_t r = 0; r < tile_.rows; r++) {
      const bool blind = softmax ? most[r] == kHidden : tile_.seen[r] == 0;
      const float sum = SumOf(hn::LoadU(df, sums + r * kLanes));
      Store(out, r, blind || first ? 0 : softmax ? 1 / sum : 1);
      if (out.lse) out.lse[Place(out, r)] = blind ? kHidden : (most[r] + std::log2(sum)) * kLn2;
    }
  }

  // All scores of a tile at once.
  template <class Seen>
  void Whole(const Outputs& out, const Seen& seen) {
    const Problem& p = *tile_.problem;
    float* s = scores_.AtLeast(0);
    for (const Span& span : tile_.plan.spans) Scores(span, s, seen);
    for (int64_t r = 0; r < tile_.rows; r++) {
      for (const Span& span : tile_.plan.spans) tile_.Finish(span, r, s);
      const float lse = tile_.Normalise(r, s);
      if (out.lse) out.lse[Place(out, r)] = lse;
      if (p.centers)
        for (const Span& span : tile_.plan.spans) MultiplyByGaussian(tile_, span, r, s);
      if (out.weights.data) StoreWeights(out, r, s);
      if (p.readout != Readout::soft) {
        const Choice choice = Choose(tile_, r, s);
        if (out.sample) {
          out.sample[Place(out, r)] = choice.key;
          out.sample_logp[Place(out, r)] = choice.logp;
        }
        Select(tile_, r, choice, s);
      }
      if (p.dropout > 0)
        for (const Span& span : tile_.plan.spans) Drop(span, r, s);
    }
    bool first = true;
    for (const Span& span : tile_.plan.spans) {
      AddValues(span, s, false, first, seen);
      first = false;
    }
    for (int64_t r = 0; r < tile_.rows; r++) Store(out, r, first || tile_.seen[r] == 0 ? 0 : 1);
  }

 public:
  struct Choice {
    int64_t key = -1, at = 0;  // and its place among the scores
    float logp = 0, most = kHidden;
  };

  // Of weights: the position that a read-out chooses, the first of equals; with the largest perturbed log-weight.
  static Choice Choose(Tile& tile, int64_t r, float* weights) {
    const bool draws = tile.problem->readout != Readout::argmax;
    Choice best;
    tile.ForPanels([&](int64_t panel, int64_t column) {
      float noise[kPanel];
      if (draws) tile.Gumbel(panel, r, noise);
      const float* w = Tile::Row(weights, column, r);
      for (int64_t j = 0; j < kPanel; j++) {
        if (w[j] == 0) continue;
        const float value = draws ? std::log(w[j]) + noise[j] : w[j];
        if (best.key >= 0 && !(value > best.most)) continue;
        best = {panel * kPanel + j, column * kTileRows + r * kPanel + j, std::log(w[j]), value};
      }
    });
    return best;
  }

  // weights -> what is read of the values.
  static void Select(Tile& tile, int64_t r, const Choice& choice, float* weights) {
    const Problem& p = *tile.problem;
    if (p.readout != Readout::gumbel) {
      tile.Fill(r, 0, tile.plan.width, 0, weights);
      if (choice.key >= 0) weights[choice.at] = 1;
      return;
    }
    if (choice.key < 0) return;
    float sum = 0;  // softmax of (log w + noise) / temperature
    tile.ForPanels([&](int64_t panel, int64_t column) {
      float noise[kPanel];
      tile.Gumbel(panel, r, noise);
      float* w = Tile::Row(weights, column, r);
      for (int64_t j = 0; j < kPanel; j++) {
        w[j] = w[j] == 0 ? 0 : std::exp((std::log(w[j]) + noise[j] - choice.most) / p.temperature);
        sum += w[j];
      }
    });
    tile.Scale(r, 0, tile.plan.width, 1 / sum, weights);
  }

  // A span's weights times the Gaussian of their centre.
  static void MultiplyByGaussian(const Tile& tile, const Span& span, int64_t r, float* weights) {
    for (int64_t panel = span.begin; panel < span.end; panel++) {
      HWY_ALIGN float factors[kPanel], distance[kPanel];
      tile.Gaussian(panel, r, factors, distance);
      MultiplyPanel(factors, Tile::Row(weights, Tile::Column(span, panel), r));
    }
  }

 private:
  void Drop(const Span& span, int64_t r, float* s) {
    tile_.Draw(span, r);
    for (int64_t j = 0; j < (span.end - span.begin) * kPanel; j += kPanel) {
      float* row = Tile::Row(s, span.column + j, r);
      for (int64_t v = 0; v < kPanel; v += kLanes) hn::StoreU(hn::Mul(hn::LoadU(df, row + v), tile_.Kept(j + v)), df, row + v);
    }
  }

  template <class Seen>
  void Scores(const Span& span, float* s, const Seen& seen) {
    if (few_) {
      rows_.Scores(tile_, memory_, span, s);
    } else {
      tile_.Scores(span, s, seen);
    }
  }

  // sums (panels of value dimensions, rows, 64) = or += weights times values. halves: weights are bfloat16 already.
  template <class Seen>
  void AddValues(const Span& span, float* s, bool halves, bool first, const Seen& seen) {
    const Problem& p = *tile_.problem;
    if (few_) {
      for (int64_t d = 0; first && d < p.value_dim; d += kPanel) std::fill_n(sums_.AtLeast(0) + d * kTileRows, tile_.rows * kPanel, 0.0f);
      rows_.AddValues(tile_, span, s, sums_.AtLeast(0));
      return;
    }
    const auto along = [&](int64_t d) { return memory_.ValuesAlong(d, span, seen); };
    if (!tile_.low) return tile_.KeyProducts<Singles>(span, s, p.value_dim, along, !first, sums_.AtLeast(0));
    for (int64_t panel = span.begin; panel < span.end && !halves; panel++)
      for (int64_t r = 0; r < tile_.rows; r++) RowToHalves(Tile::Row(s, Tile::Column(span, panel), r));
    tile_.KeyProducts<Pairs>(span, s, p.value_dim, along, !first, sums_.AtLeast(0));
  }

  void ScaleSums(int64_t r, float factor) {
    for (int64_t d = 0; d < tile_.problem->value_dim; d += kPanel) {
      float* row = sums_.AtLeast(0) + d * kTileRows + r * kPanel;
      for (int64_t v = 0; v < kPanel; v += kLanes) hn::StoreU(hn::Mul(hn::LoadU(df, row + v), hn::Set(df, factor)), df, row + v);
    }
  }

  void Store(const Outputs& out, int64_t r, float factor) {
    const int64_t n = tile_.problem->value_dim;
    char* to = At(out.output, tile_.sequence->row, tile_.head, tile_.Query(r));
    float* row = out.output.type == Element::float32 ? reinterpret_cast<float*>(to) : row_.AtLeast(n + kPanel);
    if (factor == 0) {
      std::fill_n(row, n, 0.0f);
    } else {
      for (int64_t d = 0; d < n; d += kPanel) {
        const float* sums = sums_.AtLeast(0) + d * kTileRows + r * kPanel;
        Lanes(std::min(kPanel, n - d),
              [=](auto v, int64_t i) HWY_ATTR { hn::StoreU(hn::Mul(hn::Set(v, factor), hn::LoadU(v, sums + i)), v, row + d + i); });
      }
    }
    if (out.output.type != Element::float32) StoreRow(row, out.output.type, n, to);
  }

  void StoreWeights(const Outputs& out, int64_t r, const float* s) const {
    char* to = At(out.weights, tile_.sequence->row, tile_.head, tile_.begin + r);
    tile_.ForPanels([&](int64_t panel, int64_t column) {
      StoreRow(Tile::Row(s, column, r), out.weights.type, std::min(kPanel, tile_.sequence->keys - panel * kPanel),
               to + panel * kPanel * Size(out.weights.type));
    });
  }

  int64_t Place(const Outputs& out, int64_t r) const { return tile_.sequence->row * out.batch + tile_.head * out.head + tile_.Query(r); }

  bool few_ = false;
  Memory memory_;
  Few rows_;
  Additive additive_;
  Tile tile_;
  Storage scores_, sums_, row_sums_, row_;
};

}  // namespace fused
}  // namespace attend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
