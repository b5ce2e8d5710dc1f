#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

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

namespace detail {
template <class First, class... Rest>
struct VariantOfRest {
  using type = std::variant<Rest...>;
};
}  // namespace detail

// One of the structs named in supports.def, in its order.
#define ATTEND_SUPPORT(name, options, ...) , options
using Support = detail::VariantOfRest<void
#include "attend/spec/supports.def"
                                      >::type;
#undef ATTEND_SUPPORT

}  // namespace attend::spec
