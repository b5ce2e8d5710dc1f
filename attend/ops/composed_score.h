#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string_view>

#include "attend/spec/mechanisms.h"

namespace attend::ops {

// What a score computes on. R = B·Hk rows of memory; N = (Hq/Hk)·Tq queries that share a row, so that grouped heads need no copy.
struct ScoreArgs {
  at::Tensor query;                                         // (R, N, D)
  at::Tensor key;                                           // (R, Tk, D)
  at::Tensor param;                                         // as Parameter says
  std::optional<double> scale;                              // none: the score's own
  int64_t batch = 0, heads = 0, kv_heads = 0, queries = 0;  // B, Hq, Hk, Tq
};

struct ScoreGradients {
  at::Tensor query, key, param;  // like the arguments; undefined where not needed
};

struct ScoreNeeds {
  bool query = false, key = false, param = false;
};

enum class ScoreParameter { none, vector, scale };  // vector: (D) or (Hq, D); scale: () or (Hq)

// What a layer puts around the operator: learned projections of queries and keys, a bias in the key's, and the score that the operator is
// asked for ("given": the layer makes the scores itself, nn/scores/<name>.h); empty: the score of the same name.
struct ScoreLayer {
  bool query = false, key = false, bias = false;
  std::string_view score = {};
};

// The composed formula of one score: file ops/scores/<name>.h specialises it with
//   static constexpr ScoreParameter kParameter;                                  // what `param` holds
//   static at::Tensor Forward(const ScoreArgs&);                                 // (R, N, Tk)
//   static ScoreGradients Backward(const ScoreArgs&, const at::Tensor& grad, ScoreNeeds);  // optional, else by autograd
//   static double Scale(int64_t dim);                                            // where kParameter is scale: its usual value
// or, where modules build it from another, with
//   static constexpr std::string_view kInstead;                                  // what to ask for
// and, where a layer projects, with
//   static constexpr ScoreLayer kLayer;
template <spec::Score score>
struct ComposedScore;

// The same, chosen at run time.
at::Tensor ScoreForward(spec::Score score, const ScoreArgs& args);
ScoreGradients ScoreBackward(spec::Score score, const ScoreArgs& args, const at::Tensor& grad, ScoreNeeds needs);
ScoreParameter ParameterOf(spec::Score score);
std::string_view ScoreInstead(spec::Score score);  // empty: the operator computes it
ScoreLayer LayerOf(spec::Score score);
double UsualScale(spec::Score score, int64_t dim);

// Scale as it multiplies scores (R, N, Tk): a number, or that of each query's head (R, N, 1).
at::Tensor ScaleOfQueries(const ScoreArgs& args);
// The scale's gradient, from that of each query (R, N).
at::Tensor SumOfScale(const ScoreArgs& args, const at::Tensor& of_queries);

}  // namespace attend::ops
