#include "attend/ops/check.h"

#include <array>
#include <string_view>

#include "attend/ops/composed_score.h"

namespace attend::ops {
namespace {

constexpr const char* kPart = "attention";

template <class E>
E Choose(const char* what, const std::string& name) {
  if (const auto value = ChoiceNamed<E>(name)) return *value;
  ATTEND_EXPECT(false, kPart, what, "one of ", ChoiceList<E>(), "; found ", name);
}

// Scores that the operator computes; the others are built of them.
std::string OperatorScores() {
  std::string out;
  for (const Choice& c : Choices(spec::Score{}))
    if (ScoreInstead(static_cast<spec::Score>(c.value)).empty()) out += std::string(c.name) + ", ";
  return out + "given";
}

std::optional<spec::Score> ChooseScore(const std::string& name) {
  if (name == "given") return std::nullopt;
  const auto score = ChoiceNamed<spec::Score>(name);
  ATTEND_EXPECT(score, kPart, "score one of ", OperatorScores(), "; found ", name);
  const std::string_view instead = ScoreInstead(*score);
  ATTEND_EXPECT(instead.empty(), kPart, instead, "; found score ", name);
  return score;
}

bool IsIndex(const at::Tensor& t) { return t.scalar_type() == at::kLong || t.scalar_type() == at::kInt; }

void CheckPerRow(const char* name, const at::Tensor& t, const c10::SymInt& rows, bool may_be_scalar) {
  if (!t.defined()) return;
  ATTEND_EXPECT(IsIndex(t), kPart, name, " of integers; found ", t.scalar_type());
  const bool fits = (t.dim() == 1 && t.sym_size(0) == rows) || (may_be_scalar && t.dim() == 0);
  ATTEND_EXPECT(fits, kPart, name, (may_be_scalar ? " () or (" : " ("), rows, ")", "; found ", t.sym_sizes());
}

// `t` broadcasts to (B, Hq, Tq, Tk) without growing it.
void CheckBroadcast(const char* name, const at::Tensor& t, const Shape& s, const at::Device& device) {
  ATTEND_EXPECT(t.device() == device, kPart, name, " on ", device, "; found it on ", t.device());
  const std::array<const c10::SymInt*, 4> full = {&s.batch, &s.heads, &s.queries, &s.keys};
  bool fits = t.dim() <= 4;
  for (int64_t i = 1; fits && i <= t.dim(); i++) fits = t.sym_size(-i) == 1 || t.sym_size(-i) == *full[4 - i];
  ATTEND_EXPECT(fits, kPart, name, " that broadcasts to (", s.batch, ", ", s.heads, ", ", s.queries, ", ", s.keys, "); found ",
                t.sym_sizes());
}

void CheckParameter(const std::string& name, spec::Score score, const at::Tensor& param, const c10::SymInt& dim) {
  const ScoreParameter kind = ParameterOf(score);
  ATTEND_EXPECT(kind != ScoreParameter::none || !param.defined(), kPart, "no param with score ", name, "; found one");
  if (kind == ScoreParameter::none) return;
  ATTEND_EXPECT(param.defined(), kPart, "a param with score ", name, "; found none");
  if (kind == ScoreParameter::vector) {
    ATTEND_EXPECT((param.dim() == 1 || param.dim() == 2) && param.sym_size(-1) == dim, kPart, "param (", dim, ") or (Hq, ", dim,
                  "); found ", param.sym_sizes());
  } else {
    ATTEND_EXPECT(param.dim() <= 1, kPart, "param () or (Hq); found ", param.sym_sizes());
  }
  ATTEND_EXPECT(at::isFloatingType(param.scalar_type()), kPart, "a param of floats; found ", param.scalar_type());
}

void CheckQueryAndKey(const Call& c, Shape& s) {
  ATTEND_EXPECT(c.query.defined() && c.key.defined(), kPart, "query and key with score ", c.score, "; found ",
                (c.query.defined() ? "no key" : "no query"));
  ATTEND_EXPECT(!c.scores.defined(), kPart, "given scores with score given only; found score ", c.score);
  ATTEND_EXPECT(c.query.dim() == 4, kPart, "query (B, Hq, Tq, D); found ", c.query.sym_sizes());
  ATTEND_EXPECT(c.key.dim() == 4, kPart, "key (B, Hk, Tk, D); found ", c.key.sym_sizes());
  s.batch = c.query.sym_size(0);
  s.heads = c.query.sym_size(1);
  s.queries = c.query.sym_size(2);
  s.dim = c.query.sym_size(3);
  s.kv_heads = c.key.sym_size(1);
  s.keys = c.key.sym_size(2);
  ATTEND_EXPECT(c.key.sym_size(3) == s.dim, kPart, "as many features in query and key; found ", c.query.sym_sizes(), " and ",
                c.key.sym_sizes());
  ATTEND_EXPECT(c.query.scalar_type() == s.dtype && c.key.scalar_type() == s.dtype, kPart, "query, key and value of one dtype; found ",
                c.query.scalar_type(), ", ", c.key.scalar_type(), ", ", s.dtype);
  ATTEND_EXPECT(c.query.device() == c.value.device() && c.key.device() == c.value.device(), kPart,
                "query, key and value on one device; found ", c.query.device(), ", ", c.key.device(), ", ", c.value.device());
  const c10::SymInt rows = c.key.sym_size(0);
  ATTEND_EXPECT(c.value.sym_size(0) == rows && c.value.sym_size(1) == s.kv_heads && c.value.sym_size(2) == s.keys, kPart,
                "key (B, Hk, Tk, D) and value (B, Hk, Tk, Dv); found ", c.key.sym_sizes(), " and ", c.value.sym_sizes());

  CheckParameter(c.score, *s.score, c.param, s.dim);
  if (c.param.defined() && c.param.dim() == (ParameterOf(*s.score) == ScoreParameter::vector ? 2 : 1))
    ATTEND_EXPECT(c.param.sym_size(0) == s.heads, kPart, "param with one row a query head; found ", c.param.sym_sizes(), " with ", s.heads,
                  " heads");
  ATTEND_EXPECT(!c.scale || c.score == "scaled_dot", kPart, "scale with score scaled_dot only; found score ", c.score);
}

void CheckGivenScores(const Call& c, Shape& s) {
  ATTEND_EXPECT(c.scores.defined(), kPart, "scores (B, Hq, Tq, Tk) with score given; found none");
  ATTEND_EXPECT(!c.query.defined() && !c.key.defined() && !c.param.defined() && !c.scale, kPart,
                "neither query, key, param nor scale with given scores; found one of them");
  ATTEND_EXPECT(c.scores.dim() == 4, kPart, "scores (B, Hq, Tq, Tk); found ", c.scores.sym_sizes());
  ATTEND_EXPECT(c.scores.scalar_type() == s.dtype && c.scores.device() == c.value.device(), kPart,
                "scores and value of one dtype and device; found ", c.scores.scalar_type(), " on ", c.scores.device(), ", ", s.dtype,
                " on ", c.value.device());
  s.batch = c.scores.sym_size(0);
  s.heads = c.scores.sym_size(1);
  s.queries = c.scores.sym_size(2);
  s.keys = c.scores.sym_size(3);
  s.kv_heads = c.value.sym_size(1);
  s.dim = 0;
  ATTEND_EXPECT(c.value.sym_size(2) == s.keys, kPart, "as many keys in scores and value; found ", c.scores.sym_sizes(), " and ",
                c.value.sym_sizes());
}

// What attend::prepare made of the key, or of a part of it that key and value were cut to alike.
void CheckPacked(const at::Tensor& packed, const at::Tensor& key) {
  if (!packed.defined()) return;
  ATTEND_EXPECT(
      key.defined() && packed.device() == key.device() && packed.sym_sizes() == key.sym_sizes() && packed.scalar_type() == at::kFloat,
      kPart, "what was prepared of this key; found ", packed.scalar_type(), " ", packed.sym_sizes(), " on ", packed.device());
}

void CheckRows(const Call& c, const Shape& s) {
  if (!c.key_rows.defined()) {
    ATTEND_EXPECT(c.value.sym_size(0) == s.batch, kPart, "as many rows in query and value (or key_rows); found ", s.batch, " and ",
                  c.value.sym_size(0));
    return;
  }
  ATTEND_EXPECT(c.key_rows.scalar_type() == at::kLong, kPart, "key_rows of int64; found ", c.key_rows.scalar_type());
  const bool fits =
      (c.key_rows.dim() == 1 || (c.key_rows.dim() == 2 && c.key_rows.sym_size(1) == s.keys)) && c.key_rows.sym_size(0) == s.batch;
  ATTEND_EXPECT(fits, kPart, "key_rows (", s.batch, ") or (", s.batch, ", ", s.keys, "); found ", c.key_rows.sym_sizes());
  ATTEND_EXPECT(!c.cu_seqlens_q.defined(), kPart, "no key_rows with packed sequences; found both");
}

void CheckSequences(const Call& c, const Shape& s) {
  ATTEND_EXPECT(c.cu_seqlens_q.defined() && c.cu_seqlens_k.defined(), kPart, "both cu_seqlens_q and cu_seqlens_k; found one of them");
  for (const at::Tensor* t : {&c.cu_seqlens_q, &c.cu_seqlens_k})
    ATTEND_EXPECT(IsIndex(*t) && t->dim() == 1 && t->sym_size(0) >= 1, kPart, "cu_seqlens (n + 1) of integers; found ", t->scalar_type(),
                  " ", t->sym_sizes());
  ATTEND_EXPECT(c.cu_seqlens_q.sym_size(0) == c.cu_seqlens_k.sym_size(0), kPart, "as many sequences of queries as of keys; found ",
                c.cu_seqlens_q.sym_sizes(), " and ", c.cu_seqlens_k.sym_sizes());
  ATTEND_EXPECT(s.batch == 1, kPart, "a batch of 1 with packed sequences; found ", s.batch);
  ATTEND_EXPECT(!c.need_weights, kPart, "no need_weights with packed sequences; found both");
  ATTEND_EXPECT(s.score && !c.attn_mask.defined() && !c.attn_bias.defined() && !c.query_lengths.defined(), kPart,
                "neither given scores, attn_mask, attn_bias nor query_lengths with packed sequences; found one of them");
}

void CheckSupport(const Call& c, const Shape& s) {
  for (const auto* side : {&c.window_left, &c.window_right})
    ATTEND_EXPECT(!*side || **side >= 0, kPart, "a window of at least 0 keys on each side; found ", **side);
  ATTEND_EXPECT(!c.block_size || *c.block_size >= 1, kPart, "blocks of at least 1 key; found ", *c.block_size);
  ATTEND_EXPECT(!c.look_back || c.block_size, kPart, "a block size with look_back; found none");
  ATTEND_EXPECT(!c.look_back || *c.look_back >= 0, kPart, "a look_back of at least 0 blocks; found ", *c.look_back);
  if (c.global_keys.defined()) {
    ATTEND_EXPECT(c.global_keys.scalar_type() == at::kBool && c.global_keys.device() == c.value.device(), kPart, "global_keys of bool on ",
                  c.value.device(), "; found ", c.global_keys.scalar_type(), " on ", c.global_keys.device());
    const int64_t dims = c.global_keys.dim();
    const bool fits = (dims == 1 || (dims == 2 && c.global_keys.sym_size(0) == s.batch)) && c.global_keys.sym_size(-1) == s.keys;
    ATTEND_EXPECT(fits, kPart, "global_keys (", s.keys, ") or (", s.batch, ", ", s.keys, "); found ", c.global_keys.sym_sizes());
  }
  ATTEND_EXPECT(c.centers.defined() == c.half_width.has_value(), kPart, "centers and half_width together; found one of them");
  if (!c.centers.defined()) return;
  ATTEND_EXPECT(*c.half_width > 0, kPart, "a half_width above 0; found ", *c.half_width);
  ATTEND_EXPECT(at::isFloatingType(c.centers.scalar_type()) && c.centers.device() == c.value.device(), kPart, "centers of floats on ",
                c.value.device(), "; found ", c.centers.scalar_type(), " on ", c.centers.device());
  const bool fits =
      c.centers.dim() == 3 && c.centers.sym_size(0) == s.batch && c.centers.sym_size(1) == s.heads && c.centers.sym_size(2) == s.queries;
  ATTEND_EXPECT(fits, kPart, "centers (", s.batch, ", ", s.heads, ", ", s.queries, "); found ", c.centers.sym_sizes());
}

// Readouts that choose one position.
std::string Choosers() {
  std::string out;
  for (const Choice& choice : Choices(OperatorReadout{}))
    if (TraitsOf(static_cast<OperatorReadout>(choice.value)).chooses) out += (out.empty() ? "" : ", ") + std::string(choice.name);
  return out;
}

void CheckReadout(const Call& c, const Shape& s) {
  const ReadoutTraits traits = TraitsOf(s.readout);
  ATTEND_EXPECT(!c.return_sample || traits.chooses, kPart, "return_sample with a readout among ", Choosers(), "; found it with ",
                c.readout);
  ATTEND_EXPECT(!traits.draws || c.seed.defined(), kPart, "a seed with readout ", c.readout, "; found none");
  ATTEND_EXPECT(traits.temperature || c.temperature == 1, kPart, "temperature 1 with readout ", c.readout, "; found ", c.temperature);
  ATTEND_EXPECT(c.temperature > 0, kPart, "a temperature above 0; found ", c.temperature);
  if (!traits.chooses) return;
  ATTEND_EXPECT(s.normaliser != spec::Normaliser::sigmoid, kPart, "weights that sum to 1 with readout ", c.readout,
                "; found normaliser sigmoid");
  ATTEND_EXPECT(!c.centers.defined(), kPart, "weights that sum to 1 with readout ", c.readout, "; found the Gaussian of centers");
}

}  // namespace

void CheckPrepare(const at::Tensor& key, const std::string& score, const at::Tensor& param) {
  ATTEND_EXPECT(key.dim() == 4, kPart, "key (B, Hk, Tk, D); found ", key.sym_sizes());
  const auto chosen = ChooseScore(score);
  ATTEND_EXPECT(chosen.has_value(), kPart, "a score that compares queries with keys; found score given");
  CheckParameter(score, *chosen, param, key.sym_size(3));
}

Shape Check(const Call& c) {
  Shape s;
  ATTEND_EXPECT(c.value.dim() == 4, kPart, "value (B, Hk, Tk, Dv); found ", c.value.sym_sizes());
  s.dtype = c.value.scalar_type();
  ATTEND_EXPECT(s.dtype == at::kFloat || s.dtype == at::kDouble || s.dtype == at::kBFloat16 || s.dtype == at::kHalf, kPart,
                "float32, float64, bfloat16 or float16; found ", s.dtype);
  s.compute = s.dtype == at::kDouble ? at::kDouble : at::kFloat;
  s.value_dim = c.value.sym_size(3);
  s.score = ChooseScore(c.score);
  s.normaliser = Choose<spec::Normaliser>("normaliser ", c.normaliser);
  s.readout = Choose<OperatorReadout>("readout ", c.readout);
  ATTEND_EXPECT(!c.return_lse || s.normaliser == spec::Normaliser::softmax, kPart, "no return_lse with normaliser ", c.normaliser,
                " (only softmax has one); found it");
  CheckReadout(c, s);
  s.score ? CheckQueryAndKey(c, s) : CheckGivenScores(c, s);
  ATTEND_EXPECT(s.kv_heads >= 1 && s.heads % s.kv_heads == 0, kPart, "query heads a multiple of key/value heads; found ", s.heads, " and ",
                s.kv_heads);
  CheckPacked(c.prepared, c.key);
  CheckRows(c, s);

  const bool packed = c.cu_seqlens_q.defined() || c.cu_seqlens_k.defined();
  if (packed) CheckSequences(c, s);
  const c10::SymInt rows = packed ? c.cu_seqlens_q.sym_size(0) - 1 : s.batch;
  CheckPerRow("key_lengths", c.key_lengths, rows, false);
  CheckPerRow("query_lengths", c.query_lengths, rows, false);
  CheckPerRow("query_offset", c.query_offset, rows, true);
  CheckPerRow("seed", c.seed, rows, true);
  if (c.attn_mask.defined()) {
    ATTEND_EXPECT(c.attn_mask.scalar_type() == at::kBool, kPart, "attn_mask of bool, True = attend (floats are attn_bias); found ",
                  c.attn_mask.scalar_type());
    CheckBroadcast("attn_mask", c.attn_mask, s, c.value.device());
  }
  if (c.attn_bias.defined()) {
    ATTEND_EXPECT(at::isFloatingType(c.attn_bias.scalar_type()), kPart, "attn_bias of floats (booleans are attn_mask); found ",
                  c.attn_bias.scalar_type());
    CheckBroadcast("attn_bias", c.attn_bias, s, c.value.device());
  }
  if (c.alibi_slopes.defined()) {
    ATTEND_EXPECT(at::isFloatingType(c.alibi_slopes.scalar_type()) && c.alibi_slopes.dim() == 1 && c.alibi_slopes.sym_size(0) == s.heads,
                  kPart, "alibi_slopes (", s.heads, ") of floats, one a query head; found ", c.alibi_slopes.sym_sizes(), " of ",
                  c.alibi_slopes.scalar_type());
  }
  CheckSupport(c, s);
  ATTEND_EXPECT(c.dropout_p >= 0 && c.dropout_p <= 1, kPart, "dropout_p from 0 to 1; found ", c.dropout_p);
  ATTEND_EXPECT(c.dropout_p == 0 || c.seed.defined(), kPart, "a seed with dropout_p > 0; found none");
  return s;
}

}  // namespace attend::ops
