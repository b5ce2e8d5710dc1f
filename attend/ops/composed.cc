#include "attend/ops/composed.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>

#include "attend/ops/by_autograd.h"
#include "attend/ops/check.h"
#include "attend/ops/composed_readout.h"
#include "attend/ops/composed_score.h"
#include "attend/ops/memory.h"
#include "attend/ops/normalisers.inc"
#include "attend/ops/packed.h"
#include "attend/ops/philox.h"
#include "attend/ops/shared_rows.h"
#include "attend/ops/visibility.h"

namespace attend::ops {
namespace {

using at::Tensor;

// One call on concrete tensors in the precision of the arithmetic, heads folded into rows (see ScoreArgs).
struct Problem {
  const Call& call;
  Shape shape;
  std::optional<SharedRows> shared;               // then R = M Hk, and further queries share a row
  int64_t batch, heads, kv_heads, queries, keys;  // B, Hq, Hk, Tq, Tk
  ScoreArgs score;                                // without given scores
  Tensor value;                                   // (R, Tk, Dv)
  Tensor invisible;                               // broadcasts to (B, Hq, Tq, Tk), or undefined

  explicit Problem(const Call& c, bool share = false)
      : call(c),
        shape(Check(c)),
        shared(share && c.key_rows.defined() && c.key_rows.dim() == 1 ? SharedRows::Of(c.key_rows, c.value.size(0)) : std::nullopt),
        batch(shape.batch.expect_int()),
        heads(shape.heads.expect_int()),
        kv_heads(shape.kv_heads.expect_int()),
        queries(shape.queries.expect_int()),
        keys(shape.keys.expect_int()),
        value(Memory(c.value)),
        invisible(Invisible(c, queries, keys)) {
    if (shape.score) {
      const Tensor param = c.param.defined() ? c.param.to(shape.compute) : c.param;
      score = {Folded(c.query.to(shape.compute)), Memory(c.key), param, c.scale, batch, heads, kv_heads, queries};
      if (shared) {
        score.batch = shared->memory();
        score.queries = shared->width() * queries;
      }
    }
    if (invisible.defined() && !value.is_cpu()) Clean();
  }

  // Key or value as this batch reads it, (R, Tk, D) in the precision of the arithmetic.
  Tensor Memory(const Tensor& t) const {
    const Tensor rows = (shared ? t : RowsOfMemory(t, call.key_rows)).to(shape.compute);
    return rows.reshape({rows.size(0) * kv_heads, rows.size(2), rows.size(3)});
  }
  // (R, N, C) -> (B, Hq, Tq, C) and back.
  Tensor Whole(const Tensor& t) const {
    return shared ? shared->Unfold(t, kv_heads, heads, queries) : t.view({batch, heads, queries, t.size(2)});
  }
  Tensor Folded(const Tensor& t) const {
    return shared ? shared->Fold(t, kv_heads) : t.reshape({batch * kv_heads, heads / kv_heads * queries, t.size(3)});
  }

  Tensor DropoutOfWeights() const {
    if (call.dropout_p == 0) return {};
    return DropoutFactors(RowKeys(call.seed, batch), call.query_offset, heads, queries, keys, kWeightDropoutStream, call.dropout_p,
                          value.options());
  }

  // What the weights are multiplied by after the normaliser, 0 where invisible; undefined: by nothing.
  Tensor Factors() const {
    Tensor factors = WeightFactors(call, queries, keys, shape.compute);
    return factors.defined() && invisible.defined() ? factors.masked_fill(invisible, 0) : factors;
  }

  ReadoutArgs Readout(const Tensor& weights, const Tensor& index = {}) const {
    ReadoutArgs args{weights, {}, index, call.temperature};
    if (TraitsOf(shape.readout).draws)
      args.noise = GumbelDraws(RowKeys(call.seed, batch), call.query_offset, heads, queries, keys, kSampleStream, value.options());
    return args;
  }

  bool Biased() const { return call.attn_bias.defined() || call.alibi_slopes.defined(); }

  // (B, Hq, Tq, Tk), -inf where invisible.
  Tensor Scores() const {
    Tensor s = shape.score ? Whole(ScoreForward(*shape.score, score)) : call.scores.to(shape.compute);
    if (call.attn_bias.defined()) s = s + call.attn_bias.to(shape.compute);
    if (call.alibi_slopes.defined())
      s = s - call.alibi_slopes.to(shape.compute).view({-1, 1, 1}) * Distances(call, queries, keys, shape.compute);
    if (invisible.defined()) {
      const double hidden = -std::numeric_limits<double>::infinity();
      s = shape.score || Biased() ? s.masked_fill_(invisible, hidden) : s.masked_fill(invisible, hidden);
    }
    return s;
  }

  // Keys that no query of theirs sees (R, Tk, 1), and queries that see no key (R, N, 1).
  Tensor DeadKeys() const {
    const Tensor dead = invisible.expand({batch, heads, queries, keys}).all(2).view({batch, kv_heads, heads / kv_heads, keys}).all(2);
    return dead.view({batch * kv_heads, keys, 1});
  }
  Tensor DeadQueries() const {
    return invisible.expand({batch, heads, queries, keys}).all(3).reshape({batch * kv_heads, heads / kv_heads * queries, 1});
  }

  // What stands in dead rows may not even be a number, and 0 * NaN is NaN. Replacing it costs a copy of the memory; on the CPU the copy
  // is made only when a (small) product shows that something was there.
  void Clean() {
    Unshare();
    value = value.masked_fill(DeadKeys(), 0);
    if (!shape.score) return;
    score.key = score.key.masked_fill(DeadKeys(), 0);
    score.query = score.query.masked_fill(DeadQueries(), 0);
  }
  // What is visible differs from batch row to batch row, so that each needs a copy of its own.
  void Unshare() {
    if (!shared) return;
    Problem own(call);
    shared.reset();
    value = own.value;
    score = own.score;
  }
  bool Shows(const Tensor& product) const {
    return invisible.defined() && product.is_cpu() && !std::isfinite(product.sum().item<double>());
  }
};

// Sums of values (B, Hq, Tq, Dv) by what is read of them (B, Hq, Tq, Tk).
Tensor Sum(Problem& p, const Tensor& read) {
  const Tensor out = p.Whole(at::bmm(p.Folded(read), p.value));
  if (!p.Shows(out)) return out;
  p.Clean();
  return p.Whole(at::bmm(p.Folded(read), p.value));
}

Normalised Normalise(const Problem& p, bool lse) {
  const bool hidden = p.invisible.defined() || p.Biased() || !p.shape.score;
  switch (p.shape.normaliser) {
#define ATTEND_NORMALISER(name, ...) \
  case spec::Normaliser::name:       \
    return ComposedNormaliser<spec::Normaliser::name>::Forward(p.Scores(), hidden, lse);
#include "attend/spec/normalisers.def"
#undef ATTEND_NORMALISER
  }
  return {};
}

template <class N>
Tensor BackwardOf(const Problem& p, const Tensor& weights, const Tensor& grad_weights, const Tensor& grad_lse) {
  if constexpr (requires { N::Backward(weights, grad_weights, grad_lse); })
    return N::Backward(weights, grad_weights, grad_lse);
  else
    return ByAutograd([](const std::vector<Tensor>& x) { return N::Forward(x[0], true, false).weights; }, {p.Scores()}, grad_weights)[0];
}

Tensor NormaliserBackward(const Problem& p, const Tensor& weights, const Tensor& grad_weights, const Tensor& grad_lse) {
  switch (p.shape.normaliser) {
#define ATTEND_NORMALISER(name, ...) \
  case spec::Normaliser::name:       \
    return BackwardOf<ComposedNormaliser<spec::Normaliser::name>>(p, weights, grad_weights, grad_lse);
#include "attend/spec/normalisers.def"
#undef ATTEND_NORMALISER
  }
  return {};
}

ScoreGradients ScoresBackward(Problem& p, const Tensor& grad, ScoreNeeds needs) {
  ScoreGradients out = ScoreBackward(*p.shape.score, p.score, grad, needs);
  // A key that is not a number shows in the query's or the param's gradient, which sum over keys; a query in itself, which is as small.
  bool shows = p.Shows(p.score.query) || (!out.query.defined() && !out.param.defined() && p.Shows(out.key));
  for (const Tensor* sum : {&out.query, &out.param}) shows = shows || (sum->defined() && p.Shows(*sum));
  if (!shows) return out;
  p.Clean();
  return ScoreBackward(*p.shape.score, p.score, grad, needs);
}

Tensor None(const Call& call) { return at::empty({0}, call.value.options()); }

// Gradients of the scores (B, Hq, Tq, Tk), of the value (R, Tk, Dv) and of the centres (B, Hq, Tq).
struct InnerGradients {
  Tensor scores, value, centers;
};

InnerGradients BackwardToScores(const Problem& p, const BackwardCall& b, bool needs_scores, bool needs_value) {
  const Tensor factors = p.Factors();
  // Saved weights serve where they are the normaliser's own.
  const Tensor normal = b.weights.defined() && !factors.defined() ? b.weights.to(p.shape.compute) : Normalise(p, false).weights;
  const Tensor weights = factors.defined() ? normal * factors : normal;
  const Tensor dropout = p.DropoutOfWeights();
  const ReadoutArgs readout = p.Readout(weights, b.sample);
  const Selection selection = Select(p.shape.readout, readout);
  InnerGradients out;
  Tensor grad_weights;
  if (b.grad_output.defined()) {
    Tensor grad_output = p.Folded(b.grad_output.to(p.shape.compute).contiguous());
    if (b.call.query_lengths.defined()) grad_output = grad_output.masked_fill(p.DeadQueries(), 0);
    if (needs_value) {
      const Tensor read = p.Folded(dropout.defined() ? selection.read * dropout : selection.read);
      out.value = at::bmm(read.transpose(1, 2), grad_output);
    }
    if (needs_scores && TraitsOf(p.shape.readout).differentiates) {
      Tensor grad_read = p.Whole(at::bmm(grad_output, p.value.transpose(1, 2)));
      if (dropout.defined()) grad_read.mul_(dropout);
      if (p.invisible.defined()) grad_read.masked_fill_(p.invisible, 0);  // a value that is NaN there
      grad_weights = SelectBackward(p.shape.readout, readout, selection, grad_read);
    }
  }
  if (!needs_scores) return out;
  const auto add = [&](const Tensor& more) { grad_weights = grad_weights.defined() ? grad_weights.add_(more) : more; };
  if (b.grad_weights.defined()) add(b.grad_weights.to(p.shape.compute, false, true));
  if (b.grad_sample_logp.defined()) add(LogWeightBackward(weights, selection.index, b.grad_sample_logp.to(p.shape.compute)));
  if (!grad_weights.defined() && !b.grad_lse.defined()) grad_weights = at::zeros(weights.sizes(), weights.options());
  if (grad_weights.defined() && p.invisible.defined()) grad_weights.masked_fill_(p.invisible, 0);
  if (grad_weights.defined() && factors.defined()) {
    if (b.needs[kCenters]) out.centers = CentersBackward(b.call, p.queries, p.keys, factors, grad_weights * normal);
    grad_weights.mul_(factors);
  }
  out.scores = NormaliserBackward(p, normal, grad_weights, b.grad_lse.defined() ? b.grad_lse.to(p.shape.compute) : b.grad_lse);
  if (b.grad_lse.defined() && p.invisible.defined()) out.scores.masked_fill_(p.invisible, 0);  // a gradient of lse = -inf
  return out;
}

Outputs Forward(const Call& call) {
  Problem p(call, /*share=*/true);
  const Normalised normalised = Normalise(p, call.return_lse);
  const Tensor dropout = p.DropoutOfWeights(), factors = p.Factors();
  const Tensor weights = factors.defined() ? normalised.weights * factors : normalised.weights;
  const Selection selection = Select(p.shape.readout, p.Readout(weights));
  Outputs out;
  out.output = Sum(p, dropout.defined() ? selection.read * dropout : selection.read).to(p.shape.dtype);
  out.weights = call.need_weights ? weights.to(p.shape.dtype) : None(call);
  out.lse = call.return_lse ? normalised.lse : at::empty({0}, p.value.options());
  out.sample = call.return_sample ? selection.index : at::empty({0}, call.value.options().dtype(at::kLong));
  out.sample_logp = call.return_sample ? LogWeight(weights, selection.index) : at::empty({0}, p.value.options());
  return out;
}

Gradients Backward(const BackwardCall& b) {
  Problem p(b.call);
  const Call& c = b.call;
  const auto needs = [&](Gradient g) { return b.needs[g] && Differentiable(c, g).defined(); };
  const bool of_score = p.shape.score && (needs(kQuery) || needs(kKey) || needs(kParam));
  const bool any = of_score || needs(kScores) || needs(kBias) || needs(kSlopes) || needs(kCenters);
  const InnerGradients inner = BackwardToScores(p, b, any, needs(kValue));
  Gradients out;
  for (Tensor& g : out) g = None(c);
  const auto zeros = [](const Tensor& like) { return at::zeros(like.sizes(), like.options()); };
  if (needs(kValue)) {
    out[kValue] =
        inner.value.defined()
            ? RowsOfMemoryBackward(inner.value.view({p.batch, p.kv_heads, p.keys, c.value.size(3)}).to(p.shape.dtype), c.value, c.key_rows)
            : zeros(c.value);
  }
  if (!any) return out;
  const Tensor& grad = inner.scores;
  if (needs(kCenters)) out[kCenters] = inner.centers.defined() ? inner.centers.to(c.centers.scalar_type()) : zeros(c.centers);
  if (needs(kScores)) out[kScores] = grad.to(p.shape.dtype);
  if (needs(kBias)) out[kBias] = grad.sum_to_size(c.attn_bias.sizes()).to(c.attn_bias.scalar_type()).contiguous();
  if (needs(kSlopes))
    out[kSlopes] =
        (grad * Distances(c, p.queries, p.keys, grad.scalar_type())).sum(at::IntArrayRef{0, 2, 3}).neg().to(c.alibi_slopes.scalar_type());
  if (!of_score) return out;
  const ScoreGradients g = ScoresBackward(p, p.Folded(grad), {needs(kQuery), needs(kKey), needs(kParam)});
  if (needs(kQuery)) out[kQuery] = p.Whole(g.query).to(p.shape.dtype);
  if (needs(kKey))
    out[kKey] = RowsOfMemoryBackward(g.key.view({p.batch, p.kv_heads, p.keys, c.key.size(3)}).to(p.shape.dtype), c.key, c.key_rows);
  if (needs(kParam)) out[kParam] = g.param.to(c.param.scalar_type());
  return out;
}

}  // namespace

Outputs ComposedForward(const Call& call) { return call.cu_seqlens_q.defined() ? PackedForward(call, Forward) : Forward(call); }

Gradients ComposedBackward(const BackwardCall& backward) {
  return backward.call.cu_seqlens_q.defined() ? PackedBackward(backward, Backward) : Backward(backward);
}

}  // namespace attend::ops
