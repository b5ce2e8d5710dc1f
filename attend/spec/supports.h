#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "attend/spec/variant.h"

namespace attend::spec {

// The options of each support. A support is written `support: all` or `support: {kind: window, left: 10, right: 10}`.
struct AllSupport {
  static constexpr std::string_view kKind = "all";
  template <class F>
  static void Declare(F&) {}
  bool operator==(const AllSupport&) const = default;
};

// Key j is visible to query i when i - left <= j <= i + right, in absolute positions of both sequences.
struct WindowSupport {
  static constexpr std::string_view kKind = "window";
  std::optional<int64_t> left, right;  // none: unbounded on that side
  template <class F>
  static void Declare(F& field) {
    field("left", &WindowSupport::left, "keys before the query's position that it sees; none: all of them").Range(0, 1e9);
    field("right", &WindowSupport::right, "keys after the query's position that it sees; none: all of them").Range(0, 1e9);
  }
  bool operator==(const WindowSupport&) const = default;
};

// Sequences in blocks of `size` positions: a query sees its own block and look_back blocks before it.
struct BlockSupport {
  static constexpr std::string_view kKind = "block";
  int64_t size = 16, look_back = 1;
  template <class F>
  static void Declare(F& field) {
    field("size", &BlockSupport::size, "positions of a block").Range(1, 1e9);
    field("look_back", &BlockSupport::look_back, "blocks before the query's own that it sees").Range(0, 1e9);
  }
  bool operator==(const BlockSupport&) const = default;
};

// A window around the time step: i - D <= j <= i + D.
struct MonotonicSupport {
  static constexpr std::string_view kKind = "monotonic";
  int64_t half_width = 10;
  template <class F>
  static void Declare(F& field) {
    field("half_width", &MonotonicSupport::half_width, "D: keys on each side of the time step").Range(0, 1e9);
  }
  bool operator==(const MonotonicSupport&) const = default;
};

// A window around a predicted centre p, weights falling off with a Gaussian of deviation D / 2.
struct PredictiveSupport {
  static constexpr std::string_view kKind = "predictive";
  int64_t half_width = 10;
  template <class F>
  static void Declare(F& field) {
    field("half_width", &PredictiveSupport::half_width, "D: keys on each side of the predicted centre").Range(1, 1e9);
  }
  bool operator==(const PredictiveSupport&) const = default;
};

// One of the structs named in supports.def, in its order.
#define ATTEND_SUPPORT(name, options, ...) , options
using Support = detail::VariantOfRest<void
#include "attend/spec/supports.def"
                                      >::type;
#undef ATTEND_SUPPORT

}  // namespace attend::spec
