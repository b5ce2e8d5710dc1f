#pragma once

#include <string_view>

#include "attend/spec/variant.h"

namespace attend::spec {

// The options of each estimator and readout: `readout: soft` or `readout: {kind: hard, estimator: {kind: gumbel, temperature: 0.5}}`.
struct ReinforceEstimator {
  static constexpr std::string_view kKind = "reinforce";
  double entropy = 0.01;
  template <class F>
  static void Declare(F& field) {
    field("entropy", &ReinforceEstimator::entropy, "weight of the entropy of the weights, which keeps them from settling too early")
        .Range(0, 100);
  }
  bool operator==(const ReinforceEstimator&) const = default;
};

struct StraightThroughEstimator {
  static constexpr std::string_view kKind = "straight_through";
  template <class F>
  static void Declare(F&) {}
  bool operator==(const StraightThroughEstimator&) const = default;
};

struct GumbelEstimator {
  static constexpr std::string_view kKind = "gumbel";
  double temperature = 0.5;
  template <class F>
  static void Declare(F& field) {
    field("temperature", &GumbelEstimator::temperature, "of the relaxed sample: the lower, the nearer to one position").Range(0.001, 1000);
  }
  bool operator==(const GumbelEstimator&) const = default;
};

// One of the structs named in estimators.def, in its order.
#define ATTEND_ESTIMATOR(name, options, ...) , options
using Estimator = detail::VariantOfRest<void
#include "attend/spec/estimators.def"
                                        >::type;
#undef ATTEND_ESTIMATOR

struct SoftReadout {
  static constexpr std::string_view kKind = "soft";
  template <class F>
  static void Declare(F&) {}
  bool operator==(const SoftReadout&) const = default;
};

struct HardReadout {
  static constexpr std::string_view kKind = "hard";
  Estimator estimator;
  template <class F>
  static void Declare(F& field) {
    field("estimator", &HardReadout::estimator, "how the choice of a position is differentiated");
  }
  bool operator==(const HardReadout&) const = default;
};

// One of the structs named in readouts.def, in its order.
#define ATTEND_READOUT(name, options, ...) , options
using Readout = detail::VariantOfRest<void
#include "attend/spec/readouts.def"
                                      >::type;
#undef ATTEND_READOUT

}  // namespace attend::spec
