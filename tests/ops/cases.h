#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

#include "attend/base/enum.h"
#include "attend/ops/attention.h"
#include "attend/ops/composed_readout.h"
#include "attend/ops/composed_score.h"
#include "attend/spec/mechanisms.h"

// What the tests of the operator call it with.
namespace attend::ops::cases {

using at::Tensor;

inline Tensor Draw(std::vector<int64_t> sizes) { return torch::randn(sizes, torch::kDouble); }

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

}  // namespace attend::ops::cases
