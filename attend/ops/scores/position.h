#pragma once

#include "attend/ops/composed_score.h"

namespace attend::ops {

// s_ij = (W q_i)_j: the key itself is not looked at, only its place, so the layer makes the scores (nn/scores/position.h).
template <>
struct ComposedScore<spec::Score::position> {
  static constexpr std::string_view kInstead = "given scores, the first Tk entries of W q_i";
  static constexpr ScoreLayer kLayer = {.score = "given"};
};

}  // namespace attend::ops
