// The backward pass of a range of queries that share keys, per instruction-set target.
#if defined(ATTEND_KERNELS_ATTENTION_BACKWARD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTEND_KERNELS_ATTENTION_BACKWARD_INL_H_
#undef ATTEND_KERNELS_ATTENTION_BACKWARD_INL_H_
#else
#define ATTEND_KERNELS_ATTENTION_BACKWARD_INL_H_
#endif

#include "attend/kernels/attention/forward-inl.h"
#include "attend/kernels/attention/shares.h"

HWY_BEFORE_NAMESPACE();
namespace attend::kernels::HWY_NAMESPACE {
namespace fused {

// The factor of t = factor ds, of which products and sums make the gradients of product scores: s = scale q.k, or -scale |q - k|^2.
inline float GradientFactor(const Problem& p, float scale) { return p.score == Score::euclidean ? -2 * scale : scale; }

class BackwardPass {
 public:
  void Run(const Problem& p, const Gradients& gradients, const Share& share, const KeySums& sums) {
    const std::vector<Visibility> visible = VisibilityOfHeads(p, share);
    few_ = IsFew(p, share);
    const bool low = !few_ && TakesPairs(p) && (!gradients.output_grad.data || gradients.output_grad.type == Element::bfloat16);
    memory_.Start(p, *share.sequence, share.kv_head, sums.panels, few_, low, /*backward=*/true);
    if (few_) rows_.Start(p, *share.sequence, share.kv_head);
    g_ = &gradients;
    sums_ = sums;
    if (few_) touched_.assign(static_cast<size_t>(share.sequence->keys), false);
    const bool streams = p.readout == Readout::soft && !gradients.weights_grad.data &&
                         ((p.normaliser == Normaliser::softmax && gradients.lse && gradients.output.data) ||
                          (p.normaliser == Normaliser::sigmoid && !IsBiased(p) && p.score != Score::given));
    const auto seen = [&](int64_t key) { return SeenByAny(visible, key); };
    for (size_t g = 0; g < visible.size(); g++) {
      const int64_t head = share.kv_head * static_cast<int64_t>(visible.size()) + static_cast<int64_t>(g);
      param_ = sums.param ? sums.param + static_cast<int64_t>(g) * ParamWidth(p) : nullptr;
      if (p.score == Score::additive) StartAdditive(p, head);
      for (int64_t q = share.begin; q < share.end; q += kTileRows) {
        tile_.Start(p, *share.sequence, memory_, additive_, visible[g], head, q, std::min(kTileRows, share.end - q),
                    streams ? kBackwardSpanPanels : 0, few_, low, /*backward=*/true);
        const int64_t size = (streams ? kBackwardSpanPanels * kPanel : tile_.plan.width) * kTileRows + kPanel;
        scores_.AtLeast(size);
        grads_.AtLeast(size);
        if (!streams) read_.AtLeast(size);
        Begin();
        streams ? Stream(seen) : Whole(seen);
        End();
      }
      if (p.score == Score::additive && param_)
        for (int64_t d = 0; d < p.dim; d++) param_[d] += static_cast<float>(total_) - 2 * h_[static_cast<size_t>(d)];
    }
    if (few_) FillUntouched(p);
    memory_.GiveBack();
    for (Storage* s : {&scores_, &grads_, &read_}) s->GiveBack();
  }

 private:
  void StartAdditive(const Problem& p, int64_t head) {
    const float* v = p.param + head * p.param_head;
    few_ ? rows_.StartHead(v) : additive_.Start(v, p.dim);
    four_v_.assign(static_cast<size_t>(KeyWidth(p)), 0);
    for (int64_t d = 0; d < p.dim; d++) four_v_[static_cast<size_t>(d)] = 4 * v[d];
    h_.assign(static_cast<size_t>(KeyWidth(p)), 0);
    total_ = 0;
  }

  // Gradient of the output, in panels, and of softmax the mean of the weights' gradients: sum_j w_j dw_j = o . do.
  void Begin() {
    const Problem& p = *tile_.problem;
    const int64_t n = p.value_dim;
    float *row = row_.AtLeast(2 * (std::max(n, p.dim) + kPanel)), *other = row + n;
    if (!few_) output_rows_ = tile_.low ? tile_.InPlace<Pairs>(g_->output_grad, n) : tile_.InPlace<Singles>(g_->output_grad, n);
    const bool in_place = !few_ && output_rows_.data;
    if (!in_place) output_rows_ = {output_grad_.AtLeast(kTileRows * (n + kPanel)), kPanel, kTileRows * kPanel};
    for (int64_t r = 0; r < tile_.rows; r++) {
      const char* given = g_->output_grad.data ? At(g_->output_grad, tile_.sequence->row, tile_.head, tile_.Query(r)) : nullptr;
      const float* grad = in_place ? FloatRow(given, g_->output_grad.type, n, row) : CopyOutputGrad(given, r, row, other);
      mean_[r] = 0;
      if (g_->lse && g_->output.data && p.normaliser == Normaliser::softmax && tile_.seen[r] > 0) {
        const char* output = At(g_->output, tile_.sequence->row, tile_.head, tile_.Query(r));
        mean_[r] = static_cast<float>(ExactDot(grad, FloatRow(output, g_->output.type, n, other), n));
      }
      sum_[r] = square_sum_[r] = center_[r] = 0;
    }
    const int64_t size = kTileRows * KeyWidth(p);
    float* query_sums = query_sums_.AtLeast(size + kPanel);
    if (p.score == Score::additive) {
      std::fill_n(query_sums, tile_.rows * KeyWidth(p), 0.0f);
    } else if (few_) {
      for (int64_t d = 0; d < KeyWidth(p); d += kPanel) std::fill_n(query_sums + d * kTileRows, tile_.rows * kPanel, 0.0f);
    } else if (tile_.low) {
      PairLowRows(tile_.query_rows(), tile_.rows, p.dim, scaled_queries_.AtLeast(size + kPanel));
      PairLowRows(output_rows_, tile_.rows, n, output_pairs_.AtLeast(kTileRows * (n + kPanel)));
    } else if (p.score == Score::dot) {   // of products the first writes the sums
      scaled_rows_ = tile_.query_rows();  // the factor comes at the end
    } else {
      float* scaled = scaled_queries_.AtLeast(size + kPanel);
      const float* queries = tile_.queries();
      const float factor = GradientFactor(p, tile_.scale);
      for (int64_t d = 0; d < KeyWidth(p); d += kPanel)
        for (int64_t i = d * kTileRows; i < d * kTileRows + tile_.rows * kPanel; i++) scaled[i] = factor * queries[i];
      scaled_rows_ = {scaled, kPanel, kTileRows * kPanel};
    }
    first_ = true;
  }

  // A row of the gradient of the output, null: zeros, to its panels; returns it in single precision. row, other: scratch (Dv).
  const float* CopyOutputGrad(const char* given, int64_t r, float* row, float* other) {
    const int64_t n = tile_.problem->value_dim;
    const bool a_panel = n <= kPanel && n > 0 && !tile_.low;
    if (a_panel) {
      row = output_grad_.AtLeast(0) + r * kPanel;
      std::fill(row + n, row + kPanel, 0.0f);
    }
    if (tile_.seen[r] > 0 && given) {
      LoadRow(given, g_->output_grad.type, n, row);
    } else {
      std::fill_n(row, n, 0.0f);
    }
    if (tile_.low) {
      StoreRow(row, Element::bfloat16, n, reinterpret_cast<char*>(other));  // they are: exactly
      LowRowToPanels(reinterpret_cast<const char*>(other), n, kTileRows, r, output_grad_.AtLeast(0));
    } else if (!a_panel) {
      RowToPanels(row, n, kTileRows, r, output_grad_.AtLeast(0));
    }
    return row;
  }

  template <class Seen>
  void Stream(const Seen& seen) {
    const Problem& p = *tile_.problem;
    for (const Span& span : tile_.plan.spans) {
      const int64_t column = span.column, width = (span.end - span.begin) * kPanel;
      float *s = scores_.AtLeast(0) - column * kTileRows, *g = grads_.AtLeast(0) - column * kTileRows;
      if (!few_ && &span == &tile_.plan.spans.back()) {
        tile_.AskFor(p.query, p.dim, /*next=*/true);
        tile_.AskFor(g_->output_grad, p.value_dim, /*next=*/true);
        tile_.AskFor(g_->output, p.value_dim, /*next=*/true);
        tile_.AskFor(g_->query, p.dim);
      }
      Scores(span, s, g, seen);
      for (int64_t r = 0; r < tile_.rows; r++) {
        if (p.normaliser == Normaliser::sigmoid) {
          tile_.Finish(span, r, s);
          tile_.Sigmoids(r, column, column + width, tile_.seen[r], s);
        } else {
          const float lse = g_->lse[Place(r)];
          if (lse == kHidden) {
            tile_.Fill(r, column, column + width, 0, s);
            tile_.Fill(r, column, column + width, 0, g);
            continue;
          }
          const V mean = hn::Set(df, Mean(r));
          if (p.centers) {
            tile_.FinishWith(span, r, lse * kLog2E, s, [](V x, int64_t, int64_t) HWY_ATTR { return Exp2(x); });
          } else if (p.dropout > 0) {
            tile_.Draw(span, r);
            tile_.FinishWith(span, r, lse * kLog2E, s, [=, this](V x, int64_t at, int64_t j) HWY_ATTR {
              const V w = Exp2(x), kept = tile_.Kept(j);
              hn::StoreU(hn::Mul(w, hn::MulSub(hn::LoadU(df, g + at), kept, mean)), df, g + at);
              return hn::Mul(w, kept);
            });
            continue;
          } else {
            tile_.FinishWith(span, r, lse * kLog2E, s, [=](V x, int64_t at, int64_t) HWY_ATTR {
              const V w = Exp2(x);
              hn::StoreU(hn::Mul(w, hn::Sub(hn::LoadU(df, g + at), mean)), df, g + at);
              return w;
            });
            continue;
          }
        }
        if (p.dropout > 0 || p.centers) {
          Through(span, r, s, g, s);
        } else {
          SigmoidGradients(r, column, column + width, s, g);
        }
      }
      Use(span, s, g);
    }
  }

  // What is taken from the gradients dw of softmax: ds = w (dw - mean).
  float Mean(int64_t r) const { return mean_[r] - (g_->lse_grad ? g_->lse_grad[Place(r)] : 0); }

  // Of sigmoids w: ds = w (1 - w) dw in place of dw.
  void SigmoidGradients(int64_t r, int64_t from, int64_t to, const float* s, float* g) const {
    tile_.ForRow(r, from, to, [&](int64_t at) HWY_ATTR {
      const V w = hn::LoadU(df, s + at), dw = hn::LoadU(df, g + at);
      hn::StoreU(hn::Mul(dw, hn::NegMulAdd(w, w, w)), df, g + at);
    });
  }

  // The same of both with dropout and the Gaussian of a centre between the weights and what is read, which goes to s.
  void Through(const Span& span, int64_t r, const float* w, float* g, float* s) {
    const Problem& p = *tile_.problem;
    const bool softmax = p.normaliser == Normaliser::softmax;
    const V mean = hn::Set(df, softmax ? Mean(r) : 0);
    V center = hn::Zero(df);
    Factors(span, r, [&](int64_t column, const float* keep, const float* gauss, const float* distance) HWY_ATTR {
      const float* weights = Tile::Row(w, column, r);
      float *grad = Tile::Row(g, column, r), *read = Tile::Row(s, column, r);
      for (int64_t v = 0; v < kPanel; v += kLanes) {
        const V x = hn::LoadU(df, weights + v);
        V dw = hn::LoadU(df, grad + v), out = x;
        if (keep) {
          const V k = hn::LoadU(df, keep + v);
          dw = hn::Mul(dw, k);
          out = hn::Mul(out, k);
        }
        if (gauss) {
          const V f = hn::Load(df, gauss + v);
          dw = hn::Mul(dw, f);
          out = hn::Mul(out, f);
          center = hn::MulAdd(hn::Mul(x, dw), hn::Load(df, distance + v), center);
        }
        hn::StoreU(softmax ? hn::Mul(x, hn::Sub(dw, mean)) : hn::Mul(dw, hn::NegMulAdd(x, x, x)), df, grad + v);
        hn::StoreU(out, df, read + v);
      }
    });
    center_[r] += SumOf(center);
  }

  // f(column, keep, gauss, distance) for each panel of a span; null where there is none.
  template <class Function>
  void Factors(const Span& span, int64_t r, const Function& f) {
    const Problem& p = *tile_.problem;
    float* keep = nullptr;
    if (p.dropout > 0) {
      keep = keep_.AtLeast((span.end - span.begin) * kPanel);
      tile_.Dropout(span, r, keep);
    }
    HWY_ALIGN float gauss[kPanel], distance[kPanel];
    for (int64_t panel = span.begin; panel < span.end; panel++) {
      if (p.centers) tile_.Gaussian(panel, r, gauss, distance);
      f(Tile::Column(span, panel), keep ? keep + (panel - span.begin) * kPanel : nullptr, p.centers ? gauss : nullptr, distance);
    }
  }

  // All scores of a tile at once: whatever the normaliser, the read-out and which results have a gradient.
  template <class Seen>
  void Whole(const Seen& seen) {
    const Problem& p = *tile_.problem;
    float *s = scores_.AtLeast(0), *g = grads_.AtLeast(0), *read = read_.AtLeast(0);
    for (const Span& span : tile_.plan.spans) Scores(span, s, g, seen);
    for (int64_t r = 0; r < tile_.rows; r++) {
      for (const Span& span : tile_.plan.spans) tile_.Finish(span, r, s);
      const float lse = tile_.Normalise(r, s);
      tile_.ForRow(r, 0, tile_.plan.width, [&](int64_t at) HWY_ATTR { hn::StoreU(hn::LoadU(df, s + at), df, read + at); });
      if (p.centers)
        for (const Span& span : tile_.plan.spans) ForwardPass::MultiplyByGaussian(tile_, span, r, read);
      WeightGradients(r, read, g);
      if (p.centers) ThroughGaussian(r, s, g);
      const bool has_lse = p.normaliser == Normaliser::softmax && g_->lse_grad && lse != kHidden;
      tile_.NormaliseBackward(r, s, has_lse ? g_->lse_grad[Place(r)] : 0, g);
    }
    for (const Span& span : tile_.plan.spans) Use(span, read, g);
  }

  // g: the gradient of what is read -> that of the weights; weights (after the Gaussian) -> what is read, with dropout.
  void WeightGradients(int64_t r, float* weights, float* g) {
    const Problem& p = *tile_.problem;
    if (p.dropout > 0) {
      keep_.AtLeast(tile_.plan.width);
      for (const Span& span : tile_.plan.spans) tile_.Dropout(span, r, keep_.AtLeast(0) + span.column);
      DropRow(r, g);
    }
    ForwardPass::Choice choice;
    float logp_grad = 0;
    if (p.readout != Readout::soft) {
      choice = ForwardPass::Choose(tile_, r, weights);
      if (g_->sample) TakeChoice(r, weights, choice);
      if (g_->logp_grad && choice.key >= 0) {
        const float w = weights[choice.at];
        logp_grad = w == 0 ? 0 : g_->logp_grad[Place(r)] / w;
      }
    }
    if (p.readout == Readout::gumbel) {
      GumbelGradients(r, choice, weights, g);
    } else if (p.readout != Readout::soft) {
      if (p.readout != Readout::straight_through) tile_.Fill(r, 0, tile_.plan.width, 0, g);
      ForwardPass::Select(tile_, r, choice, weights);
    }
    if (choice.key >= 0) g[choice.at] += logp_grad;
    if (g_->weights_grad.data) AddWeightsGrad(r, g);
    if (p.dropout > 0) DropRow(r, weights);
  }

  // A row times its factors of dropout, keep_.
  void DropRow(int64_t r, float* row) {
    tile_.ForPanels([&](int64_t, int64_t column) { MultiplyPanel(keep_.AtLeast(0) + column, Tile::Row(row, column, r)); });
  }

  // The position that the forward pass chose.
  void TakeChoice(int64_t r, const float* weights, ForwardPass::Choice& choice) const {
    const int64_t key = g_->sample[Place(r)];
    if (key == choice.key) return;
    choice.key = -1;
    tile_.ForPanels([&](int64_t panel, int64_t column) {
      if (key < panel * kPanel || key >= (panel + 1) * kPanel) return;
      choice.key = key;
      choice.at = column * kTileRows + r * kPanel + key - panel * kPanel;
      choice.logp = std::log(weights[choice.at]);
    });
  }

  // With y = softmax(log w / temperature + ..): dz = y (dy - y . dy), dw = dz / (temperature w).
  void GumbelGradients(int64_t r, const ForwardPass::Choice& choice, float* weights, float* g) {
    row_copy_.resize(static_cast<size_t>(tile_.plan.width));
    tile_.ForPanels(
        [&](int64_t, int64_t column) { std::memcpy(row_copy_.data() + column, Tile::Row(weights, column, r), kPanel * sizeof(float)); });
    ForwardPass::Select(tile_, r, choice, weights);
    V dot = hn::Zero(df);
    tile_.ForRow(r, 0, tile_.plan.width,
                 [&](int64_t at) HWY_ATTR { dot = hn::MulAdd(hn::LoadU(df, weights + at), hn::LoadU(df, g + at), dot); });
    const float mean = SumOf(dot), temperature = tile_.problem->temperature;
    tile_.ForPanels([&](int64_t, int64_t column) {
      const float *y = Tile::Row(weights, column, r), *w = row_copy_.data() + column;
      float* grad = Tile::Row(g, column, r);
      for (int64_t j = 0; j < kPanel; j++) grad[j] = y[j] * (grad[j] - mean) / (w[j] == 0 ? 1 : w[j]) / temperature;
    });
  }

  void AddWeightsGrad(int64_t r, float* g) const {
    const Vectors& from = g_->weights_grad;
    const char* row = At(from, tile_.sequence->row, tile_.head, tile_.begin + r);
    tile_.ForPanels([&](int64_t panel, int64_t column) {
      float more[kPanel], *grad = Tile::Row(g, column, r);
      const int64_t n = std::min(kPanel, tile_.sequence->keys - panel * kPanel);
      LoadRow(row + panel * kPanel * Size(from.type), from.type, n, more);
      const uint64_t visible = tile_.plan.Visible(column, r);
      for (int64_t j = 0; j < n; j++)
        if (visible >> j & 1) grad[j] += more[j];
    });
  }

  // g: of the weights after the Gaussian -> before it; w: those.
  void ThroughGaussian(int64_t r, const float* w, float* g) {
    V center = hn::Zero(df);
    tile_.ForPanels([&](int64_t panel, int64_t column) HWY_ATTR {
      HWY_ALIGN float factors[kPanel], distance[kPanel];
      tile_.Gaussian(panel, r, factors, distance);
      const float* weights = Tile::Row(w, column, r);
      float* grad = Tile::Row(g, column, r);
      for (int64_t v = 0; v < kPanel; v += kLanes) {
        const V dw = hn::Mul(hn::LoadU(df, grad + v), hn::Load(df, factors + v));
        center = hn::MulAdd(hn::Mul(dw, hn::LoadU(df, weights + v)), hn::Load(df, distance + v), center);
        hn::StoreU(dw, df, grad + v);
      }
    });
    center_[r] += SumOf(center);
  }

  // Raw scores, and the gradients of what is read.
  template <class Seen>
  void Scores(const Span& span, float* s, float* g, const Seen& seen) {
    if (few_) {
      rows_.Scores(tile_, memory_, span, s);
      rows_.ValueScores(tile_, span, output_grad_.AtLeast(0), g);
      return;
    }
    tile_.Scores(span, s, seen);
    ValueScores(span, g);
  }

  // g = do V^T: the gradients of what is read.
  void ValueScores(const Span& span, float* g) {
    const Problem& p = *tile_.problem;
    for (int64_t panel = span.begin; panel < span.end; panel++) {
      const int64_t column = Tile::Column(span, panel);
      float* to = Tile::Row(g, column, 0);
      memory_.Fetch(panel, [](int64_t) { return true; });  // Scores() has done it
      if (p.value_dim == 0 || !tile_.plan.Whole(column)) std::fill_n(to, tile_.rows * kPanel, 0.0f);
      tile_.low ? tile_.PairProducts<Pairs>(column, output_rows_, memory_.ValuesAcross(panel), p.value_dim, g)
                : tile_.PairProducts<Singles>(column, output_rows_, memory_.ValuesAcross(panel), p.value_dim, g);
    }
  }

  // What a span's weights and ds add to the gradients.
  void Use(const Span& span, float* read, float* ds) {
    const Problem& p = *tile_.problem;
    const int64_t rows = tile_.rows;
    if (few_) return UseFew(span, read, ds);
    if (tile_.low) return UsePairs(span, read, ds);
    for (int64_t panel = span.begin; panel < span.end; panel++) {
      const int64_t column = Tile::Column(span, panel), at = (panel - sums_.panels.begin) * kPanel;
      const int64_t keys = std::min(kPanel, tile_.sequence->seen - panel * kPanel);
      const Interval hull = tile_.plan.Whole(column) ? Interval{0, kPanel} : tile_.plan.Hull(column, 1, 0, rows);
      const Interval seeing = tile_.plan.Rows(column);
      const auto sum = [&](const KeySums::Of& to, int64_t n, const float* left, const Rows& right) {
        for (int64_t d = 0; d < n; d += kPanel)
          Multiply<Singles>({left + seeing.begin * kPanel + hull.begin, 1, kPanel, kPanel * kPanel}, hull.end - hull.begin,
                            {right.At(seeing.begin, d), right.row}, seeing.end - seeing.begin, std::min(kPanel, n - d),
                            to.At(d, at + hull.begin), true);
      };
      const float* w = Tile::Row(read, column, 0);
      float* g = Tile::Row(ds, column, 0);
      if (sums_.value.data) sum(sums_.value, p.value_dim, w, output_rows_);
      if (g_->scores) StoreScores(panel, g);
      if (!sums_.scores) continue;
      if (p.score == Score::additive) {
        AdditiveSums(panel, keys, at, g);
        continue;
      }
      if (p.score == Score::euclidean) EuclideanSums(panel, at, g);
      if (sums_.key.data) sum(sums_.key, p.dim, g, scaled_rows_);
    }
    if (!sums_.scores || p.score == Score::additive) return;
    tile_.KeyProducts<Singles>(
        span, ds, p.dim, [&](int64_t d) { return memory_.KeysAlong(d, span); }, !first_, query_sums_.AtLeast(0));
    first_ = false;
  }

  // The same with pairs of bfloat16, of weights and of ds.
  void UsePairs(const Span& span, float* read, float* ds) {
    const Problem& p = *tile_.problem;
    const int64_t rows = tile_.rows;
    for (int64_t panel = span.begin; panel < span.end; panel++) {
      const int64_t column = Tile::Column(span, panel), at = (panel - sums_.panels.begin) * kPanel;
      const Interval hull = tile_.plan.Whole(column) ? Interval{0, kPanel} : tile_.plan.Hull(column, 1, 0, rows);
      const Interval seeing = tile_.plan.Rows(column);
      const int64_t first = seeing.begin / 2, pairs = (seeing.end + 1) / 2 - first;
      const auto sum = [&](const KeySums::Of& to, int64_t n, const float* left, int64_t step, const float* right) {
        for (int64_t d = 0; d < n; d += kPanel)
          Multiply<Pairs>({left + first * step + hull.begin, 1, step, kPanel / 2 * step}, hull.end - hull.begin,
                          {right + d * (kTileRows / 2) + first * kPanel}, pairs, std::min(kPanel, n - d), to.At(d, at + hull.begin), true);
      };
      float *w = Tile::Row(read, column, 0), *g = Tile::Row(ds, column, 0);
      if (sums_.value.data) {
        PairScores(w, rows, 2 * kPanel, w);
        sum(sums_.value, p.value_dim, w, 2 * kPanel, output_pairs_.AtLeast(0));
      }
      if (g_->scores) StoreScores(panel, g);
      if (!sums_.scores) continue;
      if (sums_.key.data) {
        float* of_keys = score_pairs_.AtLeast(kTileRows / 2 * kPanel);
        PairScores(g, rows, kPanel, of_keys);
        sum(sums_.key, p.dim, of_keys, kPanel, scaled_queries_.AtLeast(0));
      }
      for (int64_t r = 0; r < rows; r++) RowToHalves(g + r * kPanel);
    }
    if (!sums_.scores) return;
    tile_.KeyProducts<Pairs>(
        span, ds, p.dim, [&](int64_t d) { return memory_.KeysAlong(d, span); }, !first_, query_sums_.AtLeast(0));
    first_ = false;
  }

  // Gradients of keys and values that no query saw.
  void FillUntouched(const Problem& p) {
    for (const bool of_key : {true, false}) {
      const KeySums::Of& to = of_key ? sums_.key : sums_.value;
      if (!to.in_place) continue;
      for (size_t j = 0; j < touched_.size(); j++)
        if (!touched_[j]) std::fill_n(to.At(0, static_cast<int64_t>(j) - sums_.panels.begin * kPanel), of_key ? p.dim : p.value_dim, 0.0f);
    }
  }

  // The same, a key at a time. query_sums_: zeros at first.
  void UseFew(const Span& span, const float* read, float* ds) {
    const Problem& p = *tile_.problem;
    for (int64_t panel = span.begin; panel < span.end; panel++) {
      float* g = Tile::Row(ds, Tile::Column(span, panel), 0);
      if (g_->scores) StoreScores(panel, g);
      if (sums_.scores && p.score == Score::euclidean) EuclideanSums(panel, (panel - sums_.panels.begin) * kPanel, g);
    }
    const float factor = GradientFactor(p, tile_.scale);
    Few::ForKeys(tile_, span, [&](int64_t panel, int64_t column, int64_t j) {
      const int64_t at = (panel - sums_.panels.begin) * kPanel + j;
      const float *w = Tile::Row(read, column, 0) + j, *g = Tile::Row(ds, column, 0) + j;
      const auto key_of = static_cast<size_t>(panel * kPanel + j);
      const bool fresh = !touched_[key_of];
      touched_[key_of] = true;
      for (int64_t r = 0; sums_.value.data && r < tile_.rows; r++)
        for (int64_t d = 0; d < p.value_dim; d += kPanel)
          AddScaled(w[r * kPanel], output_grad_.AtLeast(0) + d * kTileRows + r * kPanel, std::min(kPanel, p.value_dim - d),
                    sums_.value.At(d, at), r == 0 && fresh && sums_.value.in_place);
      if (!sums_.scores) return;
      if (p.score == Score::additive) {
        for (int64_t r = 0; r < tile_.rows; r++) total_ += static_cast<double>(g[r * kPanel]);
        rows_.AdditiveGradients(tile_, panel * kPanel + j, g, four_v_.data(), query_sums_.AtLeast(0),
                                sums_.key.data ? sums_.key.At(0, at) : nullptr, sums_.key.dimension, fresh && sums_.key.in_place,
                                h_.data());
        return;
      }
      const float* key = rows_.Row(p.key, panel * kPanel + j, p.dim, p.score == Score::cosine);
      for (int64_t r = 0; r < tile_.rows; r++)
        for (int64_t d = 0; d < p.dim; d += kPanel) {
          const int64_t n = std::min(kPanel, p.dim - d);
          AddScaled(g[r * kPanel], key + d, n, query_sums_.AtLeast(0) + d * kTileRows + r * kPanel);
          if (sums_.key.data)
            AddScaled(factor * g[r * kPanel], tile_.QueryRow(r) + d, n, sums_.key.At(d, at), r == 0 && fresh && sums_.key.in_place);
        }
    });
    first_ = false;
  }

  void AdditiveSums(int64_t panel, int64_t keys, int64_t at, float* g) {
    const Problem& p = *tile_.problem;
    const int64_t width = KeyWidth(p), even = tile_.rows + tile_.rows % 2;
    if (even > tile_.rows) std::fill_n(g + tile_.rows * kPanel, kPanel, 0.0f);
    for (int64_t r = 0; r < tile_.rows; r++) {
      V sum = hn::Zero(df);
      for (int64_t v = 0; v < kPanel; v += kLanes) sum = hn::Add(sum, hn::LoadU(df, g + r * kPanel + v));
      total_ += static_cast<double>(SumOf(sum));
    }
    const bool direct = memory_.Direct(panel);
    const float* query = direct ? tile_.queries() : tile_.exponentials();
    for (int64_t d = 0; d < width; d += kStripe)
      (direct ? AdditiveGradient<true> : AdditiveGradient<false>)(query + d, tile_.stride(), even, memory_.KeyStripe(d, panel), keys, g,
                                                                  four_v_.data() + d, query_sums_.AtLeast(0) + d, width,
                                                                  sums_.key.At(d, at), h_.data() + d);
  }

  // Of euclidean scores: sums of ds and of ds |k|^2 over the keys of a query, and of t over the queries of a key.
  void EuclideanSums(int64_t panel, int64_t at, const float* g) {
    const float* squares = memory_.Squares(panel);
    const V factor = hn::Set(df, GradientFactor(*tile_.problem, tile_.scale));
    for (int64_t r = 0; r < tile_.rows; r++) {
      V sum = hn::Zero(df), square = sum;
      for (int64_t v = 0; v < kPanel; v += kLanes) {
        const V ds = hn::LoadU(df, g + r * kPanel + v);
        sum = hn::Add(sum, ds);
        square = hn::MulAdd(ds, hn::LoadU(df, squares + v), square);
        float* column = sums_.column + at + v;
        hn::StoreU(hn::MulAdd(factor, ds, hn::LoadU(df, column)), df, column);
      }
      sum_[r] += static_cast<double>(SumOf(sum));
      square_sum_[r] += static_cast<double>(SumOf(square));
    }
  }

  void StoreScores(int64_t panel, const float* g) const {
    const int64_t n = std::min(kPanel, tile_.sequence->keys - panel * kPanel);
    for (int64_t r = 0; r < tile_.rows; r++)
      std::memcpy(g_->scores + tile_.sequence->row * g_->scores_batch + tile_.head * g_->scores_head +
                      (tile_.begin + r) * g_->scores_query + panel * kPanel,
                  g + r * kPanel, static_cast<size_t>(n) * sizeof(float));
  }

  // Gradients of the queries and centres of a tile, and its part of the scale's.
  void End() {
    const Problem& p = *tile_.problem;
    if (g_->centers)
      for (int64_t r = 0; r < tile_.rows; r++)
        g_->centers[tile_.sequence->row * p.centers_batch + tile_.head * p.centers_head + tile_.Query(r)] =
            center_[r] * 4 / (p.half_width * p.half_width);
    if (!sums_.scores) return;
    float *row = row_.AtLeast(2 * (p.dim + kPanel)), *own = row + p.dim;
    for (int64_t r = 0; r < tile_.rows; r++) {
      const bool blind = first_ && p.score != Score::additive;
      if (blind) {
        std::fill_n(row, p.dim, 0.0f);
      } else if (p.score == Score::additive) {
        const float* sum = query_sums_.AtLeast(0) + r * KeyWidth(p);
        for (int64_t d = 0; d < p.dim; d++) row[d] = four_v_[static_cast<size_t>(d)] * sum[d];
      } else {
        RowFromPanels(query_sums_.AtLeast(0), p.dim, kTileRows, r, row);
        if (p.score == Score::dot) {
          for (int64_t d = 0; d < p.dim; d++) row[d] *= tile_.scale;
        } else {
          if (few_) {
            std::copy_n(tile_.QueryRow(r), p.dim, own);
          } else {
            RowFromPanels(tile_.query_rows().data, p.dim, kTileRows, r, own);
          }
          const double dot = ExactDot(own, row, p.dim);
          if (p.score == Score::cosine) {
            if (param_) param_[0] += static_cast<float>(dot);
            for (int64_t d = 0; d < p.dim; d++) row[d] = (row[d] - own[d] * static_cast<float>(dot)) * tile_.inverse(r) * tile_.scale;
          } else {
            const double square = ExactDot(own, own, p.dim);
            if (param_) param_[0] -= static_cast<float>(square * sum_[r] + square_sum_[r] - 2 * dot);
            for (int64_t d = 0; d < p.dim; d++) row[d] = -2 * tile_.scale * (own[d] * static_cast<float>(sum_[r]) - row[d]);
          }
        }
      }
      if (g_->query.data) StoreRow(row, g_->query.type, p.dim, At(g_->query, tile_.sequence->row, tile_.head, tile_.Query(r)));
    }
  }

  int64_t Place(int64_t r) const { return tile_.sequence->row * g_->batch + tile_.head * g_->head + tile_.Query(r); }

  const Gradients* g_ = nullptr;
  KeySums sums_;
  float* param_ = nullptr;
  Memory memory_;
  Few rows_;
  Additive additive_;
  Tile tile_;
  bool few_ = false;
  bool first_ = true;  // nothing was added to query_sums_ yet
  float mean_[kTileRows], center_[kTileRows];
  double sum_[kTileRows], square_sum_[kTileRows], total_ = 0;
  std::vector<char> touched_;  // keys whose gradient in place has something in it
  std::vector<float> four_v_, h_, row_copy_;
  Rows output_rows_, scaled_rows_;
  Storage scores_, grads_, read_, row_, keep_, output_grad_, query_sums_, scaled_queries_, output_pairs_, score_pairs_;
};

// From sum_i t_ij q_i and sum_i t_ij of key j its gradient, in place (ops/scores/*.h). own: scratch (D).
inline void FinishKey(const Problem& p, const Sequence& s, int64_t kv_head, int64_t j, float column, float* row, float* own) {
  if (p.score != Score::cosine && p.score != Score::euclidean) return;
  if (column == 0 && std::all_of(row, row + p.dim, [](float x) { return x == 0; })) return;  // a key that nobody saw may be NaN
  LoadRow(At(p.key, KeyRow(p, s, j), kv_head, s.key_start + j), p.key.type, p.dim, own);
  if (p.score == Score::euclidean) {
    for (int64_t d = 0; d < p.dim; d++) row[d] = column * own[d] - row[d];
    return;
  }
  const float inverse = Unit(own, p.dim);
  const double dot = ExactDot(own, row, p.dim);
  for (int64_t d = 0; d < p.dim; d++) row[d] = (row[d] - own[d] * static_cast<float>(dot)) * inverse;
}

// The gradients of keys, values and param of one sequence and key head, from the sums of all its shares, added up in their order.
inline void FinishHead(const Problem& p, const Gradients& g, const Sequence& s, int64_t kv_head, const KeySums* shares, int64_t count) {
  static thread_local Storage storage;
  const int64_t width = std::max(p.dim, p.value_dim) + kPanel;
  float *row = storage.AtLeast(3 * width), *own = row + width, *part = own + width;
  for (const bool of_key : {true, false}) {
    const MutableVectors& to = of_key ? g.key : g.value;
    if (!to.data || (count > 0 && (of_key ? shares[0].key : shares[0].value).in_place)) continue;
    const int64_t n = of_key ? p.dim : p.value_dim, unit = of_key && p.score == Score::additive ? kStripe : kPanel;
    for (int64_t j = 0; j < s.keys; j++) {
      float column = 0;
      int64_t added = 0;
      for (int64_t i = 0; i < count; i++) {
        const KeySums& sums = shares[i];
        const int64_t at = j - sums.panels.begin * kPanel;
        if (at < 0 || at >= sums.keys()) continue;
        const KeySums::Of& from = of_key ? sums.key : sums.value;
        float* sum = added++ ? part : row;
        for (int64_t d = 0; d < n; d += unit) CopyRow(from.At(d, at), std::min(unit, n - d), sum + d);
        for (int64_t d = 0; sum != row && d < n; d++) row[d] += part[d];
        if (of_key && sums.column) column += sums.column[at];
      }
      if (!added) std::fill_n(row, n, 0.0f);
      const float factor = of_key && count > 0 ? shares[0].key.factor : 1;
      for (int64_t d = 0; factor != 1 && d < n; d++) row[d] *= factor;
      if (of_key) FinishKey(p, s, kv_head, j, column, row, own);
      StoreRow(row, to.type, n, At(to, s.row, kv_head, s.key_start + j));
    }
  }
  if (!g.param) return;
  const int64_t group = p.heads / p.kv_heads, n = group * ParamWidth(p);
  float* to = g.param + (s.index * p.heads + kv_head * group) * ParamWidth(p);
  std::fill_n(to, n, 0.0f);
  for (int64_t i = 0; i < count; i++)
    for (int64_t d = 0; d < n; d++) to[d] += shares[i].param[d];
}

}  // namespace fused
}  // namespace attend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
