#include "attend/ops/attention.h"

#include <ATen/ops/scalar_tensor.h>

#include "attend/ops/check.h"
#include "attend/ops/operators.h"

namespace attend::ops {
namespace {

std::optional<c10::SymInt> Symbolic(std::optional<int64_t> x) { return x ? std::optional<c10::SymInt>(*x) : std::nullopt; }

AttentionResult Result(Outputs&& o) {
  return {std::move(o.output), std::move(o.weights), std::move(o.lse), std::move(o.sample), std::move(o.sample_logp)};
}

}  // namespace

Call MakeCall(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const AttentionArgs& a) {
  Call c;
  c.query = query;
  c.key = key;
  c.value = value;
  c.param = a.param;
  c.scores = a.scores;
  c.attn_mask = a.attn_mask;
  c.attn_bias = a.attn_bias;
  c.alibi_slopes = a.alibi_slopes;
  c.centers = a.centers;
  c.key_lengths = a.key_lengths;
  c.query_lengths = a.query_lengths;
  c.cu_seqlens_q = a.cu_seqlens_q;
  c.cu_seqlens_k = a.cu_seqlens_k;
  c.key_rows = a.key_rows;
  c.global_keys = a.global_keys;
  c.query_offset = a.query_offset;
  c.seed = a.seed;
  c.score = a.score;
  c.scale = a.scale;
  c.is_causal = a.is_causal;
  c.window_left = Symbolic(a.window_left);
  c.window_right = Symbolic(a.window_right);
  c.block_size = Symbolic(a.block_size);
  c.look_back = Symbolic(a.look_back);
  c.half_width = a.half_width;
  c.normaliser = a.normaliser;
  c.readout = a.readout;
  c.temperature = a.temperature;
  c.dropout_p = a.dropout_p;
  c.need_weights = a.need_weights;
  c.return_lse = a.return_lse;
  c.return_sample = a.return_sample;
  return c;
}

AttentionResult attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const AttentionArgs& args) {
  return Result(Dispatch(MakeCall(query, key, value, args)));
}

AttentionResult attention(const at::Tensor& query, const PreparedKey& key, const at::Tensor& value, const AttentionArgs& args) {
  Call call = MakeCall(query, key.key, value, args);
  ATTEND_EXPECT(args.score == key.score, "attention", "score ", key.score, ", for which the key was prepared; found ", args.score);
  ATTEND_EXPECT(!args.param.defined() || args.param.is_same(key.param), "attention",
                "the param for which the key was prepared; found another one");
  call.param = key.param;
  call.prepared = key.packed;
  return Result(Dispatch(call));
}

PreparedKey prepare(const at::Tensor& key, const std::string& score, const at::Tensor& param) {
  const at::Tensor packed = DispatchPrepare(key, score, param);
  return {key, packed.dim() == 4 ? packed : at::Tensor(), score, param};
}

std::string explain(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const AttentionArgs& args) {
  return DispatchExplain(MakeCall(query, key, value, args));
}

at::Tensor Number(int64_t value) { return at::scalar_tensor(value, at::kLong); }

}  // namespace attend::ops
