#pragma once

#include <cstdint>
#include <string_view>

#include "attend/spec/mechanisms.h"
#include "attend/spec/supports.h"

namespace attend::spec {

// An attention mechanism as a value. Options that a mechanism does not have are simply not here; which combinations are legal is
// the table of spec/validate.h. `attention: additive` is short for `attention: {score: additive}`.
struct AttentionSpec {
  static constexpr std::string_view kShorthand = "score";

  Score score = Score::scaled_dot;
  Support support = AllSupport{};
  bool causal = false;
  Normaliser normaliser = Normaliser::softmax;
  Readout readout = Readout::soft;
  int64_t heads = 1;
  int64_t key_value_heads = 0;  // 0: as many as heads
  double dropout = 0;

  // Heads of key and value: heads, or fewer where query heads share them.
  int64_t KeyValueHeads() const { return key_value_heads == 0 ? heads : key_value_heads; }

  template <class F>
  static void Declare(F& field) {
    field("score", &AttentionSpec::score, "how a query is compared with a key");
    field("support", &AttentionSpec::support, "which keys a query may see");
    field("causal", &AttentionSpec::causal, "a query sees no key after its own position");
    field("normaliser", &AttentionSpec::normaliser, "how scores become weights");
    field("readout", &AttentionSpec::readout, "how weights read the values");
    field("heads", &AttentionSpec::heads, "query heads").Range(1, 1024);
    field("key_value_heads", &AttentionSpec::key_value_heads, "heads of keys and values; 1: all query heads share one; 0: as many as heads")
        .Range(0, 1024);
    field("dropout", &AttentionSpec::dropout, "of the weights").Range(0, 1);
  }
  bool operator==(const AttentionSpec&) const = default;
};

}  // namespace attend::spec
