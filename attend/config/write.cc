#include <cstdint>

#include "attend/config/number.h"
#include "attend/config/options.h"
#include "attend/config/yaml.h"

namespace attend::config::internal {
namespace {

Node Record(const Type& type, const void* value) {
  Node map = Node::Map();
  if (!type.kind.empty()) map.Add("kind", Node::Scalar(std::string(type.kind), true));
  for (const Field& field : type.fields) map.Add(field.name(), ToTree(field.type(), field.Of(value)));
  return map;
}

Node List(const Type& type, const void* value) {
  const size_t n = type.size(value);
  if (type.form == Form::one_or_many && n == 1 && type.single(value)) return ToTree(type.element(), type.At(value, 0));
  Node list = Node::List();
  for (size_t i = 0; i < n; ++i) list.items.push_back(ToTree(type.element(), type.At(value, i)));
  return list;
}

std::string ChoiceName(const Type& type, int value) {
  for (const Choice& choice : type.choices)
    if (choice.value == value) return std::string(choice.name);
  return "?";
}

}  // namespace

Node ToTree(const Type& type, const void* value) {
  switch (type.form) {
    case Form::boolean:
      return Node::Scalar(*static_cast<const bool*>(value) ? "true" : "false");
    case Form::int32:
      return Node::Scalar(std::to_string(*static_cast<const int32_t*>(value)));
    case Form::int64:
      return Node::Scalar(std::to_string(*static_cast<const int64_t*>(value)));
    case Form::real:
      return Node::Scalar(NumberText(*static_cast<const double*>(value)));
    case Form::text:
      return Node::Scalar(*static_cast<const std::string*>(value), true);
    case Form::choice:
      return Node::Scalar(ChoiceName(type, type.index(value)), true);
    case Form::optional:
    case Form::box:
      return type.size(value) ? ToTree(type.element(), type.At(value, 0)) : Node::Null();
    case Form::list:
    case Form::one_or_many:
      return List(type, value);
    case Form::record:
      return Record(type, value);
    case Form::variant:
      return Record(type.alternatives[static_cast<size_t>(type.index(value))](), type.At(value, 0));
  }
  return Node::Null();
}

std::string ToYaml(const Node& tree) { return BlockYaml(tree); }

}  // namespace attend::config::internal
