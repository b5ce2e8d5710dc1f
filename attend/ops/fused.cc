#include "attend/ops/fused.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <sstream>

#include "attend/base/huge_pages.h"
#include "attend/kernels/attention/names.h"
#include "attend/kernels/attention/problem.h"
#include "attend/ops/memory.h"
#include "attend/ops/packed.h"
#include "attend/ops/philox.h"
#include "attend/ops/visibility.h"

namespace attend::ops {
namespace {

namespace fused = kernels::attention;
using at::Tensor;

// A result, uninitialised. Fetching one that is large page by page would take as long as a tenth of its attention.
Tensor Empty(at::IntArrayRef sizes, const at::TensorOptions& options) {
  Tensor out = at::empty(sizes, options);
  if (out.numel() > 0) AskForHugePages(out.mutable_data_ptr(), out.nbytes());
  return out;
}
Tensor Zeros(at::IntArrayRef sizes, const at::TensorOptions& options) { return Empty(sizes, options).zero_(); }

// One number of each sequence; `otherwise` where there is none.
std::vector<int64_t> PerSequence(const Tensor& t, int64_t sequences, int64_t otherwise) {
  std::vector<int64_t> out(static_cast<size_t>(sequences), otherwise);
  if (!t.defined()) return out;
  const Tensor numbers = t.to(at::kCPU, at::kLong).expand({sequences}).contiguous();
  std::copy_n(numbers.const_data_ptr<int64_t>(), sequences, out.begin());
  return out;
}

// As the kernels read it: its own memory where vectors are contiguous.
Tensor Readable(const Tensor& t) { return t.stride(-1) == 1 || t.size(-1) <= 1 ? t : t.contiguous(); }

template <class Vectors>
Vectors VectorsOf(const Tensor& t) {
  Vectors out;
  out.data = t.data_ptr();
  out.type = t.scalar_type() == at::kFloat ? fused::Element::float32 : fused::Element::bfloat16;
  out.batch = t.stride(0);
  out.head = t.stride(1);
  out.position = t.stride(2);
  return out;
}

template <class T>
fused::Pairs<T> PairsOf(const Tensor& t, const Shape& s) {
  const Tensor all = t.expand({s.batch.expect_int(), s.heads.expect_int(), s.queries.expect_int(), s.keys.expect_int()});
  return {t.const_data_ptr<T>(), all.stride(0), all.stride(1), all.stride(2), all.stride(3)};
}

std::optional<int64_t> Number(const std::optional<c10::SymInt>& x) { return x ? std::optional(x->expect_int()) : std::nullopt; }

// A call as the kernels take it, and the tensors that it points into.
struct Translated {
  fused::Problem problem;
  Shape shape;
  int64_t batch, heads, kv_heads, queries, keys, sequences;
  Tensor query, key, prepared, value, scores, param, mask, bias, slopes, global, centers, rows;

  explicit Translated(const Call& c)
      : shape(Check(c)),
        batch(shape.batch.expect_int()),
        heads(shape.heads.expect_int()),
        kv_heads(shape.kv_heads.expect_int()),
        queries(shape.queries.expect_int()),
        keys(shape.keys.expect_int()) {
    fused::Problem& p = problem;
    p.score = *fused::Find(fused::kScores, c.score);
    p.normaliser = *fused::Find(fused::kNormalisers, c.normaliser);
    p.readout = *fused::Find(fused::kReadouts, c.readout);
    p.heads = heads;
    p.kv_heads = kv_heads;
    p.dim = shape.dim.expect_int();
    p.value_dim = c.value.size(3);
    p.value = VectorsOf<fused::Vectors>(value = Readable(c.value));
    if (shape.score) {
      p.query = VectorsOf<fused::Vectors>(query = Readable(c.query));
      p.key = VectorsOf<fused::Vectors>(key = Readable(c.key));
      if (c.prepared.defined()) p.prepared = VectorsOf<fused::Vectors>(prepared = Readable(c.prepared));
    } else {
      p.scores = VectorsOf<fused::Vectors>(scores = Readable(c.scores));
    }
    if (c.param.defined()) {
      param = c.param.to(at::kFloat).contiguous();
      p.param = param.const_data_ptr<float>();
      p.param_head = OneForAllHeads(c) ? 0 : param.numel() / heads;
    }
    const double usual = 1 / std::sqrt(static_cast<double>(std::max<int64_t>(p.dim, 1)));
    p.scale = static_cast<float>(c.score == "scaled_dot" ? c.scale.value_or(usual) : 1);
    p.causal = c.is_causal;
    p.window_left = Number(c.window_left);
    p.window_right = Number(c.window_right);
    p.block_size = Number(c.block_size);
    p.look_back = Number(c.look_back);
    p.temperature = static_cast<float>(c.temperature);
    p.dropout = c.dropout_p;
    SetPairs(c);
    SetSequences(c);
  }

  static bool OneForAllHeads(const Call& c) { return c.param.dim() == (c.score == "additive" ? 1 : 0); }

 private:
  void SetPairs(const Call& c) {
    fused::Problem& p = problem;
    if (c.attn_mask.defined()) p.mask = PairsOf<bool>(mask = c.attn_mask, shape);
    if (c.attn_bias.defined()) p.bias = PairsOf<float>(bias = c.attn_bias.to(at::kFloat), shape);
    if (c.alibi_slopes.defined()) {
      slopes = c.alibi_slopes.to(at::kFloat).contiguous();
      p.slopes = slopes.const_data_ptr<float>();
    }
    if (c.global_keys.defined() && (c.window_left || c.window_right || c.block_size)) {
      global = c.global_keys.contiguous();
      p.global_keys = global.const_data_ptr<bool>();
      p.global_batch = global.dim() == 2 ? global.size(1) : 0;
    }
    if (c.centers.defined()) {
      centers = c.centers.to(at::kFloat).contiguous();
      p.centers = centers.const_data_ptr<float>();
      p.centers_batch = heads * queries;
      p.centers_head = queries;
      p.half_width = static_cast<float>(*c.half_width);
    }
    if (c.key_rows.defined()) {
      CheckRowsOfMemory(c.key_rows, c.value.size(0));
      rows = c.key_rows.contiguous();
      p.key_rows = rows.const_data_ptr<int64_t>();
      p.key_rows_batch = rows.dim() == 2 ? rows.size(1) : 1;
      p.key_rows_key = rows.dim() == 2 ? 1 : 0;
    }
  }

  void SetSequences(const Call& c) {
    const bool packed = c.cu_seqlens_q.defined();
    std::vector<PackedSequence> all;
    if (packed) {
      all = Sequences(c);
    } else {
      for (int64_t b = 0; b < batch; b++) all.push_back({b, 0, queries, 0, keys});
    }
    sequences = static_cast<int64_t>(all.size());
    const std::vector<int64_t> key_lengths = PerSequence(c.key_lengths, sequences, keys),
                               offsets = PerSequence(c.query_offset, sequences, 0),
                               query_lengths = PerSequence(c.query_lengths, sequences, queries);
    const std::vector<int64_t> draws = PerSequence(c.seed.defined() ? RowKeys(c.seed, sequences) : Tensor(), sequences, 0);
    for (const PackedSequence& from : all) {
      const auto i = static_cast<size_t>(from.row);
      fused::Sequence s;
      s.index = from.row;
      s.row = packed ? 0 : from.row;
      s.queries = from.queries;
      s.keys = from.keys;
      s.seeing = std::clamp<int64_t>(query_lengths[i], 0, from.queries);
      s.seen = std::clamp<int64_t>(key_lengths[i], 0, from.keys);
      s.query_start = from.query;
      s.key_start = from.key;
      s.offset = offsets[i];
      s.draws = static_cast<uint64_t>(draws[i]);
      problem.sequences.push_back(s);
    }
  }
};

// The tasks on torch's threads, each taking the next when it is done with one: some take longer than others.
void Parallel(int64_t tasks, const std::function<void(int64_t)>& body) {
  std::atomic<int64_t> next{0};
  at::parallel_for(0, std::min<int64_t>(tasks, at::get_num_threads()), 1, [&](int64_t, int64_t) {
    for (int64_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) body(task);
  });
}

bool Fusible(at::ScalarType dtype) { return dtype == at::kFloat || dtype == at::kBFloat16; }

Tensor None(const Call& call) { return at::empty({0}, call.value.options()); }

}  // namespace

std::string NotFused(const Call& c, const Shape& s) {
  std::ostringstream out;
  const auto device = c.value.device().type();
  const auto without = [&](const std::string& what) { out << "there is no fused kernel for " << what; };
  if (device != at::kCPU) {
    without("device ");
    out << device;
  } else if (!Fusible(s.dtype)) {
    without("dtype ");
    out << s.dtype;
  } else if (!fused::Find(fused::kScores, c.score)) {
    without("score " + c.score);
  } else if (!fused::Find(fused::kNormalisers, c.normaliser)) {
    without("normaliser " + c.normaliser);
  } else if (!fused::Find(fused::kReadouts, c.readout)) {
    without("readout " + c.readout);
  } else {
    for (const Tensor* t : {&c.param, &c.attn_bias, &c.alibi_slopes, &c.centers})
      if (t->defined() && t->scalar_type() == at::kDouble) {
        without("a param, attn_bias, alibi_slopes or centers of double beside ");
        out << s.dtype;
        break;
      }
  }
  return out.str();
}

Tensor FusedPrepareMeta(const Tensor& key, const std::string& score) {
  const auto options = key.options().dtype(at::kFloat);
  const bool prepares = fused::Find(fused::kScores, score) == fused::Score::additive && Fusible(key.scalar_type());
  return prepares ? at::empty_symint(key.sym_sizes(), options) : at::empty({0}, options);
}

Tensor FusedPrepare(const Tensor& key, const std::string& score) {
  const Tensor packed = FusedPrepareMeta(key, score), from = Readable(key);
  if (packed.dim() == 4)
    fused::Prepare(VectorsOf<fused::Vectors>(from), key.size(0), key.size(1), key.size(2), key.size(3), packed.mutable_data_ptr<float>(),
                   Parallel);
  return packed;
}

Outputs FusedForward(const Call& call) {
  const Translated t(call);
  const auto low = call.value.options(), exact = low.dtype(at::kFloat);
  const std::vector<int64_t> rows = {t.batch, t.heads, t.queries}, none = {0};
  Outputs out;
  out.output = Empty({t.batch, t.heads, t.queries, call.value.size(3)}, low);
  out.weights = call.need_weights ? Zeros({t.batch, t.heads, t.queries, t.keys}, low) : None(call);
  out.lse = at::empty(call.return_lse ? rows : none, exact);
  out.sample = at::empty(call.return_sample ? rows : none, low.dtype(at::kLong));
  out.sample_logp = at::empty(call.return_sample ? rows : none, exact);
  fused::Outputs to;
  to.output = VectorsOf<fused::MutableVectors>(out.output);
  if (call.need_weights) to.weights = VectorsOf<fused::MutableVectors>(out.weights);
  if (call.return_lse) to.lse = out.lse.mutable_data_ptr<float>();
  if (call.return_sample) {
    to.sample = out.sample.mutable_data_ptr<int64_t>();
    to.sample_logp = out.sample_logp.mutable_data_ptr<float>();
  }
  to.batch = t.heads * t.queries;
  to.head = t.queries;
  fused::Forward(t.problem, to, Parallel);
  return out;
}

Gradients FusedBackward(const BackwardCall& b) {
  const Call& c = b.call;
  const auto needs = [&](Gradient g) { return b.needs[g] && Differentiable(c, g).defined(); };
  if (needs(kSlopes) && c.cu_seqlens_q.defined()) {  // a sum over pairs, of which packed sequences have no array here
    BackwardCall others = b, slopes = b;
    others.needs[kSlopes] = false;
    slopes.needs.fill(false);
    slopes.needs[kSlopes] = true;
    Gradients out = FusedBackward(others);
    out[kSlopes] = PackedBackward(slopes, FusedBackward)[kSlopes];
    return out;
  }
  const Translated t(c);
  const auto exact = c.value.options().dtype(at::kFloat);
  Gradients out;
  for (Tensor& g : out) g = None(c);

  fused::Gradients g;
  g.batch = t.heads * t.queries;
  g.head = t.queries;
  Tensor grad_output, grad_weights, grad_lse, grad_logp, output, lse, sample;
  if (b.grad_output.defined()) g.output_grad = VectorsOf<fused::Vectors>(grad_output = Readable(b.grad_output));
  if (b.grad_weights.defined()) g.weights_grad = VectorsOf<fused::Vectors>(grad_weights = Readable(b.grad_weights));
  if (b.grad_lse.defined()) g.lse_grad = (grad_lse = b.grad_lse.to(at::kFloat).contiguous()).const_data_ptr<float>();
  if (b.grad_sample_logp.defined()) g.logp_grad = (grad_logp = b.grad_sample_logp.to(at::kFloat).contiguous()).const_data_ptr<float>();
  if (b.output.defined() && b.lse.defined() && b.lse.numel() > 0) {
    g.output = VectorsOf<fused::Vectors>(output = Readable(b.output));
    g.lse = (lse = b.lse.contiguous()).const_data_ptr<float>();
  }
  if (b.sample.defined() && b.sample.numel() > 0) g.sample = (sample = b.sample.contiguous()).const_data_ptr<int64_t>();

  const auto like = [&](int64_t rows, int64_t heads, const Tensor& of) {
    return Empty({rows, heads, of.size(2), of.size(3)}, of.options());
  };
  Tensor key, value, param, pairs, centers;
  if (needs(kQuery)) g.query = VectorsOf<fused::MutableVectors>(out[kQuery] = like(t.batch, t.heads, c.query));
  if (needs(kKey)) g.key = VectorsOf<fused::MutableVectors>(key = like(t.batch, t.kv_heads, c.key));
  if (needs(kValue)) g.value = VectorsOf<fused::MutableVectors>(value = like(t.batch, t.kv_heads, c.value));
  if (needs(kParam)) {
    const int64_t width = c.score == "additive" ? t.problem.dim : 1;
    param = at::zeros({t.sequences, t.heads, width}, exact);
    g.param = param.mutable_data_ptr<float>();
  }
  if (needs(kScores) || needs(kBias) || needs(kSlopes)) {
    pairs = Zeros({t.batch, t.heads, t.queries, t.keys}, exact);
    g.scores = pairs.mutable_data_ptr<float>();
    g.scores_batch = pairs.stride(0);
    g.scores_head = pairs.stride(1);
    g.scores_query = pairs.stride(2);
  }
  if (needs(kCenters)) {
    centers = at::empty({t.batch, t.heads, t.queries}, exact);
    g.centers = centers.mutable_data_ptr<float>();
  }
  fused::Backward(t.problem, g, Parallel);

  if (needs(kKey)) out[kKey] = RowsOfMemoryBackward(key, c.key, c.key_rows);
  if (needs(kValue)) out[kValue] = RowsOfMemoryBackward(value, c.value, c.key_rows);
  if (needs(kParam)) {
    const Tensor sum = Translated::OneForAllHeads(c) ? param.sum(at::IntArrayRef{0, 1}) : param.sum(0);
    out[kParam] = sum.view(c.param.sizes()).to(c.param.scalar_type());
  }
  if (needs(kScores)) out[kScores] = pairs.to(c.scores.scalar_type());
  if (needs(kBias)) out[kBias] = pairs.sum_to_size(c.attn_bias.sizes()).to(c.attn_bias.scalar_type()).contiguous();
  if (needs(kSlopes))
    out[kSlopes] =
        (pairs * Distances(c, t.queries, t.keys, at::kFloat)).sum(at::IntArrayRef{0, 2, 3}).neg().to(c.alibi_slopes.scalar_type());
  if (needs(kCenters)) out[kCenters] = centers.to(c.centers.scalar_type());
  return out;
}

}  // namespace attend::ops
