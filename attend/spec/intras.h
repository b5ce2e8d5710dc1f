#pragma once

#include <string_view>

#include "attend/spec/attention_spec.h"
#include "attend/spec/variant.h"

namespace attend::spec {

// The options of each way in which a cell attends over its own past: `intra: none`, `intra: {kind: lstmn, attention: additive}`.
struct NoIntra {
  static constexpr std::string_view kKind = "none";
  template <class F>
  static void Declare(F&) {}
  bool operator==(const NoIntra&) const = default;
};

struct LstmnIntra {
  static constexpr std::string_view kKind = "lstmn";
  AttentionSpec attention = {.score = Score::additive};
  template <class F>
  static void Declare(F& field) {
    field("attention", &LstmnIntra::attention, "over the cell's own earlier states");
  }
  bool operator==(const LstmnIntra&) const = default;
};

struct GateIntra {
  static constexpr std::string_view kKind = "gate";
  AttentionSpec attention = {.score = Score::additive};
  template <class F>
  static void Declare(F& field) {
    field("attention", &GateIntra::attention, "over the cell's inputs so far");
  }
  bool operator==(const GateIntra&) const = default;
};

// One of the structs named in intras.def, in its order.
#define ATTEND_INTRA(name, options, ...) , options
using Intra = detail::VariantOfRest<void
#include "attend/spec/intras.def"
                                    >::type;
#undef ATTEND_INTRA

}  // namespace attend::spec
