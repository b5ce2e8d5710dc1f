#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>

namespace attend::ops {

// What can be computed once for many queries. Accepted in place of the key; gradients go to `key`.
struct PreparedKey {
  at::Tensor key;     // (B, Hk, Tk, D)
  at::Tensor packed;  // (B, Hk, Tk, ..), as its path reads it; undefined where the path of this score packs nothing
  std::string score;
  at::Tensor param;  // undefined where the score has none
};

// The arguments of attention beside query, key and value. An undefined tensor is an absent one. B: batch, Hq: query heads,
// Tq, Tk: queries and keys of one sequence. Masks are True = attend. Positions: query i stands at query_offset + i, key j at j.
struct AttentionArgs {
  std::string score =
      "scaled_dot";   // dot, scaled_dot, additive, cosine, euclidean, or "given" with `scores` (query and key then undefined)
  at::Tensor param;   // additive: v (Hq, D) or (D); cosine, euclidean: the scale (Hq) or ()
  at::Tensor scores;  // (B, Hq, Tq, Tk) given scores

  at::Tensor attn_mask;      // bool, broadcast to (B, Hq, Tq, Tk): True = attend
  at::Tensor attn_bias;      // float, broadcast to (B, Hq, Tq, Tk), added to the scores; differentiable
  at::Tensor alibi_slopes;   // (Hq)
  at::Tensor key_lengths;    // (B) integers: keys from there on do not exist; they may hold anything
  at::Tensor query_lengths;  // (B) integers
  at::Tensor cu_seqlens_q;   // (n + 1) packed sequences: B = 1, Tq = total, key_lengths, query_offset and seed have one entry a sequence
  at::Tensor cu_seqlens_k;   // (n + 1)
  at::Tensor key_rows;       // (B) or (B, Tk) int64: row of key and value that holds position j for this batch row
  at::Tensor query_offset;   // () or (B) int64: position of the first query; undefined: 0
  bool is_causal = false;    // key j is visible to the query at position i when j <= i
  std::optional<int64_t> window_left, window_right;  // visible: i - left <= j <= i + right; none: unbounded
  std::optional<int64_t> block_size, look_back;      // visible: the query's own block of that many positions and look_back before it
  at::Tensor global_keys;                            // bool (Tk) or (B, Tk): visible whatever window and block say
  at::Tensor centers;                                // (B, Hq, Tq) with half_width D: visible: |j - center| <= D; differentiable through
  std::optional<double> half_width;                  // exp(-2 (j - center)^2 / D^2), which multiplies the weights

  std::optional<double> scale;         // of scaled_dot; none: 1/sqrt(D)
  std::string normaliser = "softmax";  // sigmoid, sparsemax, entmax15
  std::string readout = "soft";        // sample, argmax, straight_through, gumbel
  double temperature = 1;              // of gumbel
  double dropout_p = 0;                // of what is read
  at::Tensor seed;                     // int64 () or (B): one key a row; needed by dropout and by readouts that draw
  bool need_weights = false, return_lse = false, return_sample = false;
};

// What was not asked for has shape (0).
struct AttentionResult {
  at::Tensor output;       // (B, Hq, Tq, Dv)
  at::Tensor weights;      // (B, Hq, Tq, Tk) before dropout and sampling, after the Gaussian; differentiable
  at::Tensor lse;          // (B, Hq, Tq) log of the sum of the exponentials of the scores; -inf where no key is visible; differentiable
  at::Tensor sample;       // (B, Hq, Tq) int64, -1 where no key is visible
  at::Tensor sample_logp;  // (B, Hq, Tq) its log-probability, 0 where no key is visible; differentiable
};

// query (B, Hq, Tq, D), key (B, Hk, Tk, D), value (B, Hk, Tk, Dv); Hq a multiple of Hk; float32, float64, bfloat16 or float16.
// A query that sees no key gives output 0, weights 0, gradients 0. Errors: c10::Error (ValueError in Python) whose first line is
// "[attention] expected …; found …". Thread-safe.
AttentionResult attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const AttentionArgs& args = {});
AttentionResult attention(const at::Tensor& query, const PreparedKey& key, const at::Tensor& value, const AttentionArgs& args = {});

// key (B, Hk, Tk, D) as attention takes it.
PreparedKey prepare(const at::Tensor& key, const std::string& score = "scaled_dot", const at::Tensor& param = {});

// Which path a call takes, and why, e.g. "composed: there is no fused kernel for dtype Double". Checks the arguments.
std::string explain(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const AttentionArgs& args = {});

// int64 () on the CPU: the form in which seed and query_offset are given as one number.
at::Tensor Number(int64_t value);

}  // namespace attend::ops
