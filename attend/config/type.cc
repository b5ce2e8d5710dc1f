#include "attend/config/type.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <stdexcept>

#include "attend/config/declare.h"
#include "attend/config/number.h"

namespace attend::config {

bool Bounds::Contains(long double x) const {
  if (low && (low->open ? x <= low->value : x < low->value)) return false;
  if (high && (high->open ? x >= high->value : x > high->value)) return false;
  return true;
}

std::string Bounds::Text() const {
  if (low && high) {
    return std::string("in ") + (low->open ? "(" : "[") + NumberText(low->value) + ", " + NumberText(high->value) +
           (high->open ? ")" : "]");
  }
  if (low) return (low->open ? "> " : ">= ") + NumberText(low->value);
  if (high) return (high->open ? "< " : "<= ") + NumberText(high->value);
  return "";
}

const Field* Type::Find(std::string_view name) const {
  for (const Field& field : fields)
    if (field.name() == name) return &field;
  return nullptr;
}

const Type* Type::Alternative(std::string_view name) const {
  for (TypeRef alternative : alternatives)
    if (alternative().kind == name) return &alternative();
  return nullptr;
}

std::vector<std::string> Type::Names() const {
  std::vector<std::string> names;
  for (const Field& field : fields) names.push_back(field.name());
  for (const Choice& choice : choices) names.emplace_back(choice.name);
  for (TypeRef alternative : alternatives) names.emplace_back(alternative().kind);
  return names;
}

std::string Type::Describe() const {
  switch (form) {
    case Form::boolean:
      return "true or false";
    case Form::int32:
    case Form::int64:
      return "integer";
    case Form::real:
      return "number";
    case Form::text:
      return "text";
    case Form::choice:
      return "choice";
    case Form::optional:
    case Form::box:
      return element().Describe();
    case Form::list: {
      const std::string one = element().Describe();
      const bool counted = one == "integer" || one == "number" || one == "choice" || one == "kind";
      return "list of " + one + (counted ? "s" : "");
    }
    case Form::one_or_many:
      return element().Describe() + " or a list";
    case Form::record:
      return "options";
    case Form::variant:
      return "kind";
  }
  return "";
}

void internal::CheckRecord(const Type& record) {
  const auto fail = [](const std::string& what) { throw std::logic_error("declaration of options: " + what); };
  for (size_t i = 0; i < record.fields.size(); ++i) {
    const std::string& name = record.fields[i].name();
    const bool plain =
        !name.empty() && !std::isdigit(static_cast<unsigned char>(name[0])) &&
        std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::islower(c) || std::isdigit(c) || c == '_'; });
    if (!plain) fail("a name is lower_snake_case, not " + name);
    if (record.Find(name) != &record.fields[i]) fail(name + " is declared twice");
    if (name == "kind" && !record.kind.empty()) fail("an alternative of a variant cannot have an option kind");
  }
  if (!record.shorthand.empty() && !record.Find(record.shorthand))
    fail("no option of the name of the shorthand " + std::string(record.shorthand));
}

}  // namespace attend::config
