#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "attend/base/error.h"

namespace attend {

// One value of a closed list of choices. An enum E gets its names by a free function found beside it:
//
//   std::span<const Choice> Choices(E);            // the values, in the order in which they are printed
//   std::span<const Choice> Aliases(E);            // optional: accepted on input, never printed
//
// Names are written once, in that table; options, errors, help and docs derive from it.
struct Choice {
  std::string_view name;
  int value;
  std::string_view help = "";
};

template <class E>
std::string_view Name(E value) {
  for (const Choice& c : Choices(E{}))
    if (c.value == static_cast<int>(value)) return c.name;
  return "?";
}

// The value of exactly this name.
template <class E>
std::optional<E> ChoiceNamed(std::string_view name) {
  for (const Choice& c : Choices(E{}))
    if (c.name == name) return static_cast<E>(c.value);
  return std::nullopt;
}

// "a, b, c"
template <class E>
std::string ChoiceList() {
  std::string out;
  for (const Choice& c : Choices(E{})) out += (out.empty() ? "" : ", ") + std::string(c.name);
  return out;
}

template <class E>
E ParseChoice(std::string_view part, std::string_view text) {
  if (const auto value = ChoiceNamed<E>(text)) return *value;
  if constexpr (requires { Aliases(E{}); }) {
    for (const Choice& c : Aliases(E{}))
      if (c.name == text) return static_cast<E>(c.value);
  }
  throw UserError(part, "one of " + ChoiceList<E>(), std::string(text));
}

}  // namespace attend
