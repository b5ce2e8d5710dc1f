#pragma once

#include <cstdint>
#include <string_view>

#include "attend/spec/variant.h"

namespace attend::spec {

// The options of each way to tell positions apart: `positions: rotary` or `positions: {kind: rotary, base: 10000}`.
struct SinusoidalPositions {
  static constexpr std::string_view kKind = "sinusoidal";
  template <class F>
  static void Declare(F&) {}
  bool operator==(const SinusoidalPositions&) const = default;
};

struct LearnedPositions {
  static constexpr std::string_view kKind = "learned";
  int64_t maximum = 512;
  template <class F>
  static void Declare(F& field) {
    field("maximum", &LearnedPositions::maximum, "the most tokens of a sequence; a longer one is an error").Range(1, 1e7).Unit("tokens");
  }
  bool operator==(const LearnedPositions&) const = default;
};

struct RelativePositions {
  static constexpr std::string_view kKind = "relative";
  int64_t buckets = 32;
  int64_t distance = 128;
  template <class F>
  static void Declare(F& field) {
    field("buckets", &RelativePositions::buckets, "of distances: half of them one distance each, half of them growing ranges")
        .Range(4, 65536);
    field("distance", &RelativePositions::distance, "from which on all distances share the last bucket").Range(2, 1e9).Unit("tokens");
  }
  bool operator==(const RelativePositions&) const = default;
};

struct RotaryPositions {
  static constexpr std::string_view kKind = "rotary";
  double base = 10000;
  template <class F>
  static void Declare(F& field) {
    field("base", &RotaryPositions::base, "the slowest pair turns by about 1 / base a token").Range(2, 1e9);
  }
  bool operator==(const RotaryPositions&) const = default;
};

struct AlibiPositions {
  static constexpr std::string_view kKind = "alibi";
  template <class F>
  static void Declare(F&) {}
  bool operator==(const AlibiPositions&) const = default;
};

struct NoPositions {
  static constexpr std::string_view kKind = "none";
  template <class F>
  static void Declare(F&) {}
  bool operator==(const NoPositions&) const = default;
};

// One of the structs named in positions.def, in its order.
#define ATTEND_POSITION(name, options, ...) , options
using Positions = detail::VariantOfRest<void
#include "attend/spec/positions.def"
                                        >::type;
#undef ATTEND_POSITION

}  // namespace attend::spec
