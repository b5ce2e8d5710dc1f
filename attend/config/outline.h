#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "attend/config/type.h"

namespace attend::config {

// What help and docs say of options.

// A type without optional and box around it, with the default that stands there (made where there is none).
struct Spot {
  const Type* type = nullptr;
  std::shared_ptr<const void> value;
};

Spot RootSpot(const Type& type);
// What `field` of the record or alternative at `spot` holds.
Spot FieldSpot(const Spot& spot, const Field& field);
// An element of the list at `spot`.
Spot ElementSpot(const Spot& spot);
// An alternative of the variant at `spot`, with the default of the field where that is the one held.
Spot AlternativeSpot(const Spot& spot, const Type& alternative);

// Whether options stand below: a record, a variant, or a list of those.
bool HasOptions(const Type& type);

// The default of a field as flow YAML ("unset" where it holds nothing), shortened to about `width` characters; "" for records,
// variants and lists of those.
std::string DefaultText(const Spot& record, const Field& field, size_t width);

// The fields in the order in which they are shown: advanced ones last.
std::vector<const Field*> Listed(const Type& record);

// The innermost choices of a type, or null.
const Type* ChoicesOf(const Type& type);
// Whether any choice has a help text.
bool ExplainsChoices(const Type& choices);

}  // namespace attend::config
