#pragma once

#include "attend/ops/composed_score.h"

namespace attend::ops {

// s_ij = q_i^T W k_j = (W^T q_i) . k_j: projecting the query makes it `dot`, so that W multiplies Tq queries and not Tq·Tk pairs
// (Luong et al. 2015, section 3.1).
template <>
struct ComposedScore<spec::Score::general> {
  static constexpr std::string_view kInstead = "the query projected by W and score dot";
  static constexpr ScoreLayer kLayer = {.query = true, .score = "dot"};
};

}  // namespace attend::ops
