#pragma once

#include <variant>

namespace attend::spec::detail {

// The variant of the structs that a list names: ATTEND_X(name, struct, ...) expands to ", struct".
template <class First, class... Rest>
struct VariantOfRest {
  using type = std::variant<Rest...>;
};

}  // namespace attend::spec::detail
