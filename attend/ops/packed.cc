#include "attend/ops/packed.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "attend/ops/check.h"
#include "attend/ops/philox.h"

namespace attend::ops {
namespace {

using at::Tensor;

std::vector<int64_t> Ends(const char* name, const Tensor& cu_seqlens, int64_t total) {
  const Tensor ends = cu_seqlens.to(at::kCPU, at::kLong).contiguous();
  std::vector<int64_t> out(ends.const_data_ptr<int64_t>(), ends.const_data_ptr<int64_t>() + ends.numel());
  bool rises = out.front() == 0 && out.back() == total;
  for (size_t i = 1; i < out.size(); i++) rises = rises && out[i] >= out[i - 1];
  ATTEND_EXPECT(rises, "attention", name, " that rises from 0 to ", total, "; found ", c10::IntArrayRef(out));
  return out;
}

}  // namespace

std::vector<PackedSequence> Sequences(const Call& call) {
  const std::vector<int64_t> q = Ends("cu_seqlens_q", call.cu_seqlens_q, call.query.size(2)),
                             k = Ends("cu_seqlens_k", call.cu_seqlens_k, call.key.size(2));
  std::vector<PackedSequence> out;
  for (size_t i = 0; i + 1 < q.size(); i++) out.push_back({static_cast<int64_t>(i), q[i], q[i + 1] - q[i], k[i], k[i + 1] - k[i]});
  return out;
}

namespace {

Tensor Entry(const Tensor& per_row, int64_t row) { return per_row.defined() && per_row.dim() == 1 ? per_row.narrow(0, row, 1) : per_row; }

// The call of one sequence. Its seed is its own row's key.
Call One(const Call& call, const PackedSequence& s, const Tensor& keys) {
  Call out = call;
  out.query = call.query.narrow(2, s.query, s.queries);
  out.key = call.key.narrow(2, s.key, s.keys);
  out.value = call.value.narrow(2, s.key, s.keys);
  out.key_lengths = Entry(call.key_lengths, s.row);
  out.query_offset = Entry(call.query_offset, s.row);
  out.seed = Entry(keys, s.row);
  if (call.centers.defined()) out.centers = call.centers.narrow(2, s.query, s.queries);
  if (call.global_keys.defined()) out.global_keys = call.global_keys.narrow(-1, s.key, s.keys);
  out.cu_seqlens_q = out.cu_seqlens_k = Tensor();
  return out;
}

Tensor Keys(const Call& call, size_t sequences) {
  return call.seed.defined() ? RowKeys(call.seed, static_cast<int64_t>(sequences)) : Tensor();
}

}  // namespace

Outputs PackedForward(const Call& call, Outputs (*one)(const Call&)) {
  const Shape shape = Check(call);
  const std::vector<PackedSequence> sequences = Sequences(call);
  const Tensor keys = Keys(call, sequences.size());
  const int64_t heads = call.query.size(1), queries = call.query.size(2);
  const auto low = call.value.options(), exact = low.dtype(shape.compute);
  Outputs out;
  out.output = at::empty({1, heads, queries, call.value.size(3)}, low);
  out.lse = call.return_lse ? at::empty({1, heads, queries}, exact) : at::empty({0}, exact);
  out.weights = at::empty({0}, low);
  const std::vector<int64_t> sampled = call.return_sample ? std::vector<int64_t>{1, heads, queries} : std::vector<int64_t>{0};
  out.sample = at::empty(sampled, low.dtype(at::kLong));
  out.sample_logp = at::empty(sampled, exact);
  for (const PackedSequence& s : sequences) {
    const Outputs part = one(One(call, s, keys));
    out.output.narrow(2, s.query, s.queries).copy_(part.output);
    if (call.return_lse) out.lse.narrow(2, s.query, s.queries).copy_(part.lse);
    if (!call.return_sample) continue;
    out.sample.narrow(2, s.query, s.queries).copy_(part.sample);
    out.sample_logp.narrow(2, s.query, s.queries).copy_(part.sample_logp);
  }
  return out;
}

Gradients PackedBackward(const BackwardCall& b, Gradients (*one)(const BackwardCall&)) {
  const std::vector<PackedSequence> sequences = Sequences(b.call);
  const Tensor keys = Keys(b.call, sequences.size());
  Gradients out;
  for (int g = 0; g < kGradients; g++) {
    const Tensor& input = Differentiable(b.call, static_cast<Gradient>(g));
    out[g] = b.needs[g] && input.defined() ? at::zeros(input.sizes(), input.options()) : at::empty({0}, b.call.value.options());
  }
  for (const PackedSequence& s : sequences) {
    BackwardCall part = b;
    part.call = One(b.call, s, keys);
    if (b.grad_output.defined()) part.grad_output = b.grad_output.narrow(2, s.query, s.queries);
    if (b.grad_lse.defined()) part.grad_lse = b.grad_lse.narrow(2, s.query, s.queries);
    if (b.grad_sample_logp.defined()) part.grad_sample_logp = b.grad_sample_logp.narrow(2, s.query, s.queries);
    if (b.sample.defined()) part.sample = b.sample.narrow(2, s.query, s.queries);
    part.weights = Tensor();
    for (Tensor* saved : {&part.output, &part.lse})
      if (saved->defined() && saved->numel() > 0) *saved = saved->narrow(2, s.query, s.queries);
    const Gradients found = one(part);
    for (Gradient g : {kQuery, kCenters})
      if (b.needs[g]) out[g].narrow(2, s.query, s.queries).copy_(found[g]);
    for (Gradient g : {kKey, kValue})
      if (b.needs[g]) out[g].narrow(2, s.key, s.keys).copy_(found[g]);
    for (Gradient g : {kParam, kSlopes})
      if (b.needs[g] && Differentiable(b.call, g).defined()) out[g].add_(found[g]);
  }
  return out;
}

}  // namespace attend::ops
