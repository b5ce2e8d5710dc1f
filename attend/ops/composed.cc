#include "attend/ops/composed.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>

#include "attend/ops/check.h"
#include "attend/ops/composed_score.h"
#include "attend/ops/memory.h"
#include "attend/ops/normalisers.inc"
#include "attend/ops/packed.h"
#include "attend/ops/philox.h"
#include "attend/ops/readouts.inc"
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

  // (B, Hq, Tq, Tk), -inf where invisible.
  Tensor Scores() const {
    Tensor s = shape.score ? Whole(ScoreForward(*shape.score, score)) : call.scores.to(shape.compute);
    if (call.attn_bias.defined()) s = s + call.attn_bias.to(shape.compute);
    if (invisible.defined()) {
      const double hidden = -std::numeric_limits<double>::infinity();
      s = shape.score || call.attn_bias.defined() ? s.masked_fill_(invisible, hidden) : s.masked_fill(invisible, hidden);
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

// weights and output (B, Hq, Tq, .)
Tensor Read(Problem& p, const Tensor& weights) {
  switch (p.shape.readout) {
#define ATTEND_READOUT(name, ...)                                             \
  case spec::Readout::name: {                                                 \
    using Readout = ComposedReadout<spec::Readout::name>;                     \
    const Tensor out = p.Whole(Readout::Forward(p.Folded(weights), p.value)); \
    if (!p.Shows(out)) return out;                                            \
    p.Clean();                                                                \
    return p.Whole(Readout::Forward(p.Folded(weights), p.value));             \
  }
#include "attend/spec/readouts.def"
#undef ATTEND_READOUT
  }
  return {};
}

Normalised Normalise(const Problem& p, bool lse) {
  const bool hidden = p.invisible.defined() || p.call.attn_bias.defined() || !p.shape.score;
  switch (p.shape.normaliser) {
#define ATTEND_NORMALISER(name, ...) \
  case spec::Normaliser::name:       \
    return ComposedNormaliser<spec::Normaliser::name>::Forward(p.Scores(), hidden, lse);
#include "attend/spec/normalisers.def"
#undef ATTEND_NORMALISER
  }
  return {};
}

Tensor NormaliserBackward(const Problem& p, const Tensor& weights, const Tensor& grad_weights, const Tensor& grad_lse) {
  switch (p.shape.normaliser) {
#define ATTEND_NORMALISER(name, ...) \
  case spec::Normaliser::name:       \
    return ComposedNormaliser<spec::Normaliser::name>::Backward(weights, grad_weights, grad_lse);
#include "attend/spec/normalisers.def"
#undef ATTEND_NORMALISER
  }
  return {};
}

// Of the weights after dropout, and of the value.
struct ReadGradients {
  Tensor weights, value;
};
ReadGradients ReadBackward(const Problem& p, const Tensor& grad_output, const Tensor& weights, bool needs_weights, bool needs_value) {
  ReadGradients out;
  switch (p.shape.readout) {
#define ATTEND_READOUT(name, ...)                                                    \
  case spec::Readout::name: {                                                        \
    using Readout = ComposedReadout<spec::Readout::name>;                            \
    if (needs_weights) out.weights = Readout::BackwardWeights(grad_output, p.value); \
    if (needs_value) out.value = Readout::BackwardValue(grad_output, weights);       \
    break;                                                                           \
  }
#include "attend/spec/readouts.def"
#undef ATTEND_READOUT
  }
  return out;
}

ScoreGradients ScoresBackward(Problem& p, const Tensor& grad, ScoreNeeds needs) {
  ScoreGradients out = ScoreBackward(*p.shape.score, p.score, grad, needs);
  // A key that is not a number shows in the query's gradient, which sums over keys; a query in itself, which is as small.
  const Tensor& sum = out.query.defined() ? out.query : out.param.defined() ? out.param : out.key;
  if (!p.Shows(sum) && !p.Shows(p.score.query)) return out;
  p.Clean();
  return ScoreBackward(*p.shape.score, p.score, grad, needs);
}

Tensor None(const Call& call) { return at::empty({0}, call.value.options()); }

// The gradient of the scores (B, Hq, Tq, Tk), and of the value (R, Tk, Dv) where needed.
ReadGradients BackwardToScores(const Problem& p, const BackwardCall& b, bool needs_scores, bool needs_value) {
  Tensor weights = b.weights.defined() ? b.weights.to(p.shape.compute) : Normalise(p, false).weights;
  const Tensor dropout = p.DropoutOfWeights();
  ReadGradients out;
  if (b.grad_output.defined()) {
    Tensor grad_output = p.Folded(b.grad_output.to(p.shape.compute).contiguous());
    if (b.call.query_lengths.defined()) grad_output = grad_output.masked_fill(p.DeadQueries(), 0);
    const Tensor read = p.Folded(dropout.defined() ? weights * dropout : weights);
    out = ReadBackward(p, grad_output, read, needs_scores, needs_value);
  }
  if (!needs_scores) return out;
  Tensor grad_weights = out.weights.defined() ? p.Whole(out.weights) : Tensor();
  if (grad_weights.defined() && dropout.defined()) grad_weights.mul_(dropout);
  if (b.grad_weights.defined())
    grad_weights = grad_weights.defined() ? grad_weights.add_(b.grad_weights) : b.grad_weights.to(p.shape.compute, false, true);
  if (!grad_weights.defined() && !b.grad_lse.defined()) grad_weights = at::zeros(weights.sizes(), weights.options());
  if (grad_weights.defined() && p.invisible.defined()) grad_weights.masked_fill_(p.invisible, 0);  // a value that is NaN there
  out.weights = NormaliserBackward(p, weights, grad_weights, b.grad_lse.defined() ? b.grad_lse.to(p.shape.compute) : b.grad_lse);
  if (b.grad_lse.defined() && p.invisible.defined()) out.weights.masked_fill_(p.invisible, 0);  // a gradient of lse = -inf
  return out;
}

Outputs Forward(const Call& call) {
  Problem p(call, /*share=*/true);
  const Normalised normalised = Normalise(p, call.return_lse);
  const Tensor dropout = p.DropoutOfWeights();
  Outputs out;
  out.output = Read(p, dropout.defined() ? normalised.weights * dropout : normalised.weights).to(p.shape.dtype);
  out.weights = call.need_weights ? normalised.weights.to(p.shape.dtype) : None(call);
  out.lse = call.return_lse ? normalised.lse : at::empty({0}, p.value.options());
  out.sample = at::empty({0}, call.value.options().dtype(at::kLong));
  out.sample_logp = at::empty({0}, p.value.options());
  return out;
}

Gradients Backward(const BackwardCall& b) {
  Problem p(b.call);
  const Call& c = b.call;
  const auto needs = [&](Gradient g) { return b.needs[g] && Differentiable(c, g).defined(); };
  const bool of_score = p.shape.score && (needs(kQuery) || needs(kKey) || needs(kParam));
  const bool any = of_score || needs(kScores) || needs(kBias);
  const ReadGradients read = BackwardToScores(p, b, any, needs(kValue));
  Gradients out;
  for (Tensor& g : out) g = None(c);
  const auto zeros = [](const Tensor& like) { return at::zeros(like.sizes(), like.options()); };
  if (needs(kValue)) {
    out[kValue] = read.value.defined()
                      ? RowsOfMemoryBackward(read.value.view({p.batch, p.kv_heads, p.keys, -1}).to(p.shape.dtype), c.value, c.key_rows)
                      : zeros(c.value);
  }
  if (!any) return out;
  const Tensor& grad = read.weights;
  if (needs(kScores)) out[kScores] = grad.to(p.shape.dtype);
  if (needs(kBias)) out[kBias] = grad.sum_to_size(c.attn_bias.sizes()).to(c.attn_bias.scalar_type()).contiguous();
  if (!of_score) return out;
  const ScoreGradients g = ScoresBackward(p, p.Folded(grad), {needs(kQuery), needs(kKey), needs(kParam)});
  if (needs(kQuery)) out[kQuery] = p.Whole(g.query).to(p.shape.dtype);
  if (needs(kKey)) out[kKey] = RowsOfMemoryBackward(g.key.view({p.batch, p.kv_heads, p.keys, -1}).to(p.shape.dtype), c.key, c.key_rows);
  if (needs(kParam)) out[kParam] = g.param.to(c.param.scalar_type());
  return out;
}

}  // namespace

Outputs ComposedForward(const Call& call) { return call.cu_seqlens_q.defined() ? PackedForward(call, Forward) : Forward(call); }

Gradients ComposedBackward(const BackwardCall& backward) {
  return backward.call.cu_seqlens_q.defined() ? PackedBackward(backward, Backward) : Backward(backward);
}

}  // namespace attend::ops
