#pragma once

#include "attend/report/attention_map.h"

namespace attend::report {

// Two rows over three columns, two heads; every number is exact in binary.
inline AttentionMap TwoHeads() {
  return {"decoder.attention",
          "produces: target",
          "reads from: source",
          {"the", "house"},
          {"das", "Haus", "</s>"},
          2,
          {0.5f, 0.25f, 0.25f, 0, 1, 0, 1, 0, 0, 0.25f, 0.5f, 0.25f}};
}

inline AttentionReport OneExample() {
  return {"a page", "a model", {{"an example", {{"source", "das Haus"}, {"output", "the house"}}, {TwoHeads()}}}};
}

}  // namespace attend::report
