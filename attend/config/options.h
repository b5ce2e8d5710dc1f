#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "attend/config/declare.h"
#include "attend/config/names.h"
#include "attend/config/source.h"

// Options: what a struct declares once (attend/config/declare.h) gives the YAML reader, the dotted flags, help, docs and the
// resolved configuration. All functions are pure and thread-safe.
namespace attend::config {

struct Difference {
  std::string path, a, b;  // a and b as flow YAML; "(none)" where only the other has the option
};

namespace internal {
void Read(const Type& type, void* value, const Source& source);
Node ToTree(const Type& type, const void* value);
std::string ToYaml(const Node& tree);
std::string Help(const Type& type, std::string_view path, int width);
std::string Markdown(const Type& type, std::string_view title);
std::vector<Difference> Differences(const Node& a, const Node& b);
std::vector<std::string> Paths(const Type& type);
}  // namespace internal

// The options that a source gives, over these defaults. Throws UserError, one line with path and place, on unknown options,
// illegal values and missing required options.
template <class T>
T Read(const Source& source, T defaults) {
  internal::Read(TypeOf<T>(), &defaults, source);
  return defaults;
}
// The same over T's own defaults.
template <class T>
T Read(const Source& source) {
  return Read(source, T{});
}

// All options, in the order of their declaration. Read(FromYaml(ToYaml(x))) equals x, numbers bit for bit.
template <class T>
std::string ToYaml(const T& value) {
  return internal::ToYaml(internal::ToTree(TypeOf<T>(), &value));
}

// The options below a dotted path ("" for the top), one level. List elements are addressed by any index.
template <class T>
std::string Help(std::string_view path = "", int width = 100) {
  return internal::Help(TypeOf<T>(), path, width);
}

// The whole tree as a page of Markdown; a type that occurs again is linked.
template <class T>
std::string Markdown(std::string_view title) {
  return internal::Markdown(TypeOf<T>(), title);
}

// The options in which a and b differ. Of variants of different kind only the kind is named.
template <class T>
std::vector<Difference> Differences(const T& a, const T& b) {
  return internal::Differences(internal::ToTree(TypeOf<T>(), &a), internal::ToTree(TypeOf<T>(), &b));
}

// The dotted path of every option; list elements as 0, a recursive type once.
template <class T>
std::vector<std::string> Paths() {
  return internal::Paths(TypeOf<T>());
}

}  // namespace attend::config
