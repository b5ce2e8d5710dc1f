#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "attend/spec/mechanisms.h"
#include "attend/spec/readouts.h"
#include "attend/spec/supports.h"

namespace attend::spec {

// An attention mechanism as a value. Options that a mechanism does not have are simply not here; which combinations are legal is
// the table of spec/validate.h. `attention: additive` is short for `attention: {score: additive}`.
struct AttentionSpec {
  static constexpr std::string_view kShorthand = "score";
  static constexpr int64_t kPositions = 128;

  Score score = Score::scaled_dot;
  ScoreVector score_vector = ScoreVector::learned;
  std::optional<double> scale = {};
  bool learned_scale = true;
  std::optional<int64_t> positions = {};
  Support support = AllSupport{};
  int64_t global_keys = 0;
  bool causal = false;
  Normaliser normaliser = Normaliser::softmax;
  Readout readout = SoftReadout{};
  int64_t heads = 1;
  int64_t key_value_heads = 0;  // 0: as many as heads
  double dropout = 0;
  bool coverage = false;

  // Heads of key and value: heads, or fewer where query heads share them.
  int64_t KeyValueHeads() const { return key_value_heads == 0 ? heads : key_value_heads; }
  // Of score position.
  int64_t Positions() const { return positions.value_or(kPositions); }

  template <class F>
  static void Declare(F& field) {
    field("score", &AttentionSpec::score, "how a query is compared with a key");
    field("score_vector", &AttentionSpec::score_vector, "additive, concat: the vector v");
    field("scale", &AttentionSpec::scale, "scaled_dot: the factor; cosine, euclidean: its first value; none: the score's own")
        .Range(1e-6, 1e6);
    field("learned_scale", &AttentionSpec::learned_scale, "cosine, euclidean: the scale is a parameter, one for each head");
    field("positions", &AttentionSpec::positions, "position: the most keys that it can tell apart; none: 128").Range(1, 1e6);
    field("support", &AttentionSpec::support, "which keys a query may see");
    field("global_keys", &AttentionSpec::global_keys, "window, block, monotonic: the first keys that every query sees besides")
        .Range(0, 1e9);
    field("causal", &AttentionSpec::causal, "a query sees no key after its own position");
    field("normaliser", &AttentionSpec::normaliser, "how scores become weights");
    field("readout", &AttentionSpec::readout, "how weights read the values");
    field("heads", &AttentionSpec::heads, "query heads").Range(1, 1024);
    field("key_value_heads", &AttentionSpec::key_value_heads, "heads of keys and values; 1: all query heads share one; 0: as many as heads")
        .Range(0, 1024);
    field("dropout", &AttentionSpec::dropout, "of the weights").Range(0, 1);
    field("coverage", &AttentionSpec::coverage, "the score also reads the sum of the weights of the steps before (See et al. 2017)");
  }
  bool operator==(const AttentionSpec&) const = default;
};

}  // namespace attend::spec
