#pragma once

#include "attend/ops/composed_score.h"

namespace attend::ops {

// s_ij = v^T tanh(W [q_i; k_j]) = v^T tanh(W_q q_i + W_k k_j) with W = [W_q W_k]: projecting both sides makes it `additive`, so that W
// multiplies Tq + Tk vectors and not Tq·Tk pairs (Luong et al. 2015, section 3.1).
template <>
struct ComposedScore<spec::Score::concat> {
  static constexpr std::string_view kInstead = "query and key projected by the halves of W and score additive";
  static constexpr ScoreLayer kLayer = {.query = true, .key = true, .score = "additive"};
};

}  // namespace attend::ops
