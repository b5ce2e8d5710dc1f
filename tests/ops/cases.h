#pragma once

#include <torch/torch.h>

#include <cmath>
#include <initializer_list>
#include <string>
#include <vector>

#include "attend/base/enum.h"
#include "attend/ops/attention.h"
#include "attend/ops/call.h"
#include "attend/ops/composed_readout.h"
#include "attend/ops/composed_score.h"
#include "attend/ops/visibility.h"
#include "attend/spec/mechanisms.h"

// What the tests of the operator call it with.
namespace attend::ops::cases {

using at::Tensor;

inline Tensor Draw(std::vector<int64_t> sizes) { return torch::randn(sizes, torch::kDouble); }

// Floating-point tensors, those that are there, in another type.
inline void Cast(at::ScalarType type, std::initializer_list<Tensor*> tensors) {
  for (Tensor* t : tensors)
    if (t->defined()) *t = t->to(type);
}

inline Tensor Ints(std::vector<int64_t> values) { return torch::tensor(values, torch::kLong); }

// Every score that takes queries and keys, as the lists name them.
inline std::vector<std::string> Comparing() {
  std::vector<std::string> out;
  for (const Choice& c : Choices(spec::Score{}))
    if (ScoreInstead(static_cast<spec::Score>(c.value)).empty()) out.emplace_back(c.name);
  return out;
}
// And given scores.
inline std::vector<std::string> Scores() {
  std::vector<std::string> out = Comparing();
  out.emplace_back("given");
  return out;
}

// What a score is parametrised by, one for all heads or one a head; undefined: nothing.
inline Tensor Parameter(const std::string& score, int64_t heads, int64_t dim, bool per_head) {
  if (score == "given") return {};
  switch (ParameterOf(*ChoiceNamed<spec::Score>(score))) {
    case ScoreParameter::vector:
      return per_head ? Draw({heads, dim}) : Draw({dim});
    case ScoreParameter::scale:
      return (per_head ? Draw({heads}) : Draw({})).abs() + 0.5;
    default:
      return {};
  }
}

struct Shape {
  int64_t batch, heads, kv_heads, queries, keys, dim, value_dim;
};
// Hostile by default: 1, primes, powers of two ± 1, Tq ≠ Tk, Dv ≠ D, grouped heads, nothing at all.
inline const Shape kShapes[] = {
    {1, 1, 1, 1, 1, 1, 1}, {2, 4, 2, 3, 7, 5, 3}, {3, 2, 2, 5, 2, 8, 4}, {2, 3, 1, 1, 17, 6, 2}, {2, 2, 1, 4, 0, 3, 2}};

// What the masks add to a call.
struct Masks {
  const char* name;
  void (*apply)(AttentionArgs&, const Shape&);
};
inline const Masks kMasks[] = {
    {"none", [](AttentionArgs&, const Shape&) {}},
    {"causal", [](AttentionArgs& a, const Shape&) { a.is_causal = true; }},
    {"window", [](AttentionArgs& a, const Shape&) { a.window_left = 1, a.window_right = 2; }},
    {"left window", [](AttentionArgs& a, const Shape&) { a.window_left = 0; }},
    {"causal window", [](AttentionArgs& a, const Shape&) { a.is_causal = true, a.window_left = 2; }},
    {"lengths",
     [](AttentionArgs& a, const Shape& s) {
       a.key_lengths = torch::arange(s.batch, torch::kLong);
       a.query_lengths = torch::arange(s.batch, torch::kInt) + 1;
     }},
    {"mask",
     [](AttentionArgs& a, const Shape& s) {
       a.attn_mask = torch::rand({s.batch, 1, s.queries, s.keys}) > 0.5;
     }},
    {"mask of heads",
     [](AttentionArgs& a, const Shape& s) {
       a.attn_mask = torch::rand({s.heads, s.queries, s.keys}) > 0.4;
     }},
    {"offset", [](AttentionArgs& a, const Shape& s) { a.is_causal = true, a.query_offset = torch::arange(s.batch, torch::kLong) * 2; }},
    {"everything",
     [](AttentionArgs& a, const Shape& s) {
       a.is_causal = true;
       a.window_left = 3;
       a.query_offset = Number(1);
       a.key_lengths = torch::arange(s.batch, torch::kLong) + 1;
       a.attn_mask = torch::rand({s.queries, s.keys}) > 0.2;
       a.attn_bias = Draw({1, s.heads, 1, s.keys});
     }},
    {"block", [](AttentionArgs& a, const Shape&) { a.block_size = 2, a.look_back = 1; }},
    {"causal block", [](AttentionArgs& a, const Shape&) { a.is_causal = true, a.block_size = 3; }},
    {"window and global keys",
     [](AttentionArgs& a, const Shape& s) {
       a.window_left = a.window_right = 0;
       a.global_keys = torch::arange(s.keys).lt(1).logical_or(torch::arange(s.keys).eq(4));
     }},
    {"block and global keys of rows, with an offset",
     [](AttentionArgs& a, const Shape& s) {
       a.is_causal = true;
       a.block_size = 2;
       a.query_offset = torch::arange(s.batch, torch::kLong) * 3;
       a.key_lengths = torch::arange(s.batch, torch::kLong) + 4;
       a.global_keys = torch::rand({s.batch, s.keys}) > 0.7;
     }},
    {"centres",
     [](AttentionArgs& a, const Shape& s) {
       a.centers = torch::rand({s.batch, s.heads, s.queries}, torch::kDouble) * static_cast<double>(s.keys + 1);
       a.half_width = 2;
     }},
    {"centres and lengths",
     [](AttentionArgs& a, const Shape& s) {
       a.centers = torch::rand({s.batch, s.heads, s.queries}, torch::kDouble) * static_cast<double>(s.keys);
       a.half_width = 1.5;
       a.key_lengths = torch::arange(s.batch, torch::kLong);
     }},
    {"slopes and an offset",
     [](AttentionArgs& a, const Shape& s) {
       a.alibi_slopes = Draw({s.heads});
       a.query_offset = Number(2);
     }},
    {"bias",
     [](AttentionArgs& a, const Shape& s) {
       a.attn_bias = Draw({s.batch, 1, s.queries, 1});
     }},
};

// What a call may choose besides the score, support and masks: each of the lists alone, and both together.
struct NormaliserAndReadout {
  std::string normaliser, readout;
};
inline std::vector<NormaliserAndReadout> Chosen() {
  std::vector<NormaliserAndReadout> out;
  for (const Choice& n : Choices(spec::Normaliser{}))
    for (const Choice& r : Choices(OperatorReadout{}))
      if (n.name != "sigmoid" || r.name == "soft") out.push_back({std::string(n.name), std::string(r.name)});
  return out;
}
inline void Choose(AttentionArgs& args, const NormaliserAndReadout& c, int64_t batch) {
  args.normaliser = c.normaliser;
  args.readout = c.readout;
  if (c.readout == "gumbel") args.temperature = 0.7;
  args.seed = torch::arange(batch, torch::kLong) * 7919 + 13;
}

// What key_rows mean: each batch row with keys or values (memory, H, Tk, D) of its own.
inline Tensor OwnRows(const Tensor& memory, const Tensor& rows) {
  if (!memory.defined()) return {};
  const int64_t keys = memory.size(2);
  const Tensor of_positions = rows.dim() == 2 ? rows : rows.unsqueeze(1).expand({rows.size(0), keys});
  return memory.transpose(1, 2).index({of_positions, torch::arange(keys)}).transpose(1, 2).contiguous();
}

// The call on tensors of `type`.
inline Call As(const Call& c, at::ScalarType type) {
  Call out = c;
  Cast(type, {&out.query, &out.key, &out.value, &out.param, &out.scores, &out.attn_bias, &out.alibi_slopes, &out.centers});
  return out;
}

constexpr double kEps = 0x1p-24;  // a rounding of single precision

inline double Largest(const Tensor& t) { return t.numel() == 0 ? 0 : t.abs().max().item<double>(); }

inline double Distance(const Tensor& a, const Tensor& b) {  // infinities of the same sign are equal
  if (a.numel() == 0) return 0;
  const Tensor x = a.to(torch::kDouble), y = b.to(torch::kDouble);
  return Largest(torch::where(x.eq(y), 0.0, x - y));
}

// What computing a score may be off by, in roundings: its terms' absolute values, the bias, and the logarithm that softmax subtracts.
inline Tensor SizesOfScores(const Call& c) {
  Tensor size;
  if (c.score == "given") {
    size = c.scores.abs();
  } else {
    const int64_t group = c.query.size(1) / c.key.size(1);
    const Tensor q = c.query, k = c.key.repeat_interleave(group, 1);
    const Tensor products = torch::matmul(q.abs(), k.abs().transpose(2, 3));
    const auto per_head = [&](const Tensor& t) { return t.dim() == 0 ? t : t.view({1, -1, 1, 1}); };
    if (c.score == "additive") {
      const Tensor sums = c.param.abs().sum(-1);
      size = torch::zeros_like(products) + per_head(sums) * 4;  // tanh by exponentials of 2 ulp
    } else if (c.score == "cosine") {
      size = torch::zeros_like(products) + per_head(c.param) * 3;
    } else if (c.score == "euclidean") {
      size = per_head(c.param) * (q.square().sum(-1, true) + k.square().sum(-1).unsqueeze(2) + 2 * products);
    } else {
      size = products * (c.score == "dot" ? 1 : c.scale.value_or(1 / std::sqrt(static_cast<double>(q.size(3)))));
    }
  }
  if (c.attn_bias.defined()) size = size + c.attn_bias.abs();
  if (c.alibi_slopes.defined())
    size = size + c.alibi_slopes.abs().view({1, -1, 1, 1}) * Distances(c, size.size(2), size.size(3), torch::kDouble);
  return size + std::log(static_cast<double>(c.value.size(2)) + 1) + 1;
}

// The call in double with every score changed at random, through the bias, by as much as computing it in single precision may be off by:
// a handful of roundings of the sum of the absolute values of its terms.
inline Call Disturbed(const Call& c) {
  const Tensor sizes = SizesOfScores(c), change = (torch::rand(sizes.sizes(), torch::kDouble) * 2 - 1) * sizes * (5 * kEps);
  Call out = c;
  out.attn_bias = c.attn_bias.defined() ? c.attn_bias + change : change;
  return out;
}

// What an output is at most.
inline double SizeOfOutput(const Call& c) {
  return Largest(c.value) / (1 - c.dropout_p) * (c.normaliser == "sigmoid" ? static_cast<double>(c.value.size(2)) : 1);
}

}  // namespace attend::ops::cases
