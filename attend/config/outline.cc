#include "attend/config/outline.h"

#include <algorithm>

#include "attend/config/options.h"
#include "attend/config/yaml.h"

namespace attend::config {
namespace {

// The part of `whole` at `value`, which it owns.
Spot Inside(const Spot& whole, const Type& type, const void* value) {
  Spot spot{&type, std::shared_ptr<const void>(whole.value, value)};
  while (spot.type->form == Form::optional || spot.type->form == Form::box) {
    const Type& element = spot.type->element();
    if (spot.type->size(spot.value.get()) == 0) return RootSpot(element);
    spot = {&element, std::shared_ptr<const void>(spot.value, spot.type->At(spot.value.get(), 0))};
  }
  return spot;
}

}  // namespace

Spot RootSpot(const Type& type) {
  const Spot whole{&type, type.make()};
  return Inside(whole, type, whole.value.get());
}

Spot FieldSpot(const Spot& spot, const Field& field) { return Inside(spot, field.type(), field.Of(spot.value.get())); }

Spot ElementSpot(const Spot& spot) { return RootSpot(spot.type->element()); }

Spot AlternativeSpot(const Spot& spot, const Type& alternative) {
  const Type& held = spot.type->alternatives[static_cast<size_t>(spot.type->index(spot.value.get()))]();
  return &held == &alternative ? Inside(spot, held, spot.type->At(spot.value.get(), 0)) : RootSpot(alternative);
}

bool HasOptions(const Type& type) {
  if (type.form == Form::record || type.form == Form::variant) return true;
  return type.element && HasOptions(type.element());
}

std::string DefaultText(const Spot& record, const Field& field, size_t width) {
  const void* value = field.Of(record.value.get());
  const Type& type = field.type();
  if ((type.form == Form::optional || type.form == Form::box) && type.size(value) == 0) return "unset";
  if (HasOptions(type)) return "";
  std::string text = FlowYaml(internal::ToTree(type, value));
  if (text.size() <= width) return text;
  size_t cut = width;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;
  return text.substr(0, cut) + "…";
}

std::vector<const Field*> Listed(const Type& record) {
  std::vector<const Field*> fields;
  for (const Field& field : record.fields) fields.push_back(&field);
  std::stable_partition(fields.begin(), fields.end(), [](const Field* field) { return !field->advanced(); });
  return fields;
}

const Type* ChoicesOf(const Type& type) {
  if (type.form == Form::choice) return &type;
  return type.element ? ChoicesOf(type.element()) : nullptr;
}

bool ExplainsChoices(const Type& choices) {
  return std::any_of(choices.choices.begin(), choices.choices.end(), [](const Choice& c) { return !c.help.empty(); });
}

}  // namespace attend::config
