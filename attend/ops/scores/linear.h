#pragma once

#include "attend/ops/composed_score.h"

namespace attend::ops {

// s_ij = w^T [q_i; k_j] = w_q q_i + w_k k_j: a column of numbers and a row of numbers, made by the layer (nn/scores/linear.h).
template <>
struct ComposedScore<spec::Score::linear> {
  static constexpr std::string_view kInstead = "given scores, w_q q_i + w_k k_j";
  static constexpr ScoreLayer kLayer = {.score = "given"};
};

}  // namespace attend::ops
