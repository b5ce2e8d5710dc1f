#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>

#include "attend/config/errors.h"
#include "attend/config/lay.h"
#include "attend/config/number.h"
#include "attend/config/options.h"
#include "attend/config/outline.h"

namespace attend::config {
namespace {

// One typed pass over the laid tree. A null pointer stands for a node that is not given: its default stays, and is searched
// for required options.
class Reader {
 public:
  Reader(const Type& root, const Source& source) : root_(root), source_(source) {}

  void Value(const Type& type, void* value, const Node* node, const Field* field) {
    switch (type.form) {
      case Form::record:
        return Record(type, nullptr, value, node);
      case Form::variant:
        return Variant(type, value, node);
      default:
        break;
    }
    if (!node) return;
    switch (type.form) {
      case Form::optional:
      case Form::box:
        return Holder(type, value, *node, field);
      case Form::list:
        return List(type, value, *node, field);
      case Form::one_or_many:
        return OneOrMany(type, value, *node, field);
      default:
        return Scalar(type, value, *node, field);
    }
  }

 private:
  std::string At(const Node& node) const { return Place(source_, node.origin); }

  [[noreturn]] void FailType(const std::string& expected, const Node& node, const std::string& more = "") const {
    Fail((path_.empty() ? "the configuration" : path_) + " to be " + expected, Shown(node) + At(node) + more);
  }

  // Reads what stands one step below.
  void Below(std::string_view step, const Type& type, void* value, const Node* node, const Field* field) {
    const size_t length = path_.size();
    if (length > 0) path_ += '.';
    path_ += step;
    Value(type, value, node, field);
    path_.resize(length);
  }

  void Record(const Type& type, const Type* variant, void* value, const Node* node) {
    if (node && node->is_null()) node = nullptr;
    if (node && !node->is_map()) {
      const Field* shorthand = variant || type.shorthand.empty() ? nullptr : type.Find(type.shorthand);
      const bool lists = shorthand && (shorthand->type().form == Form::list || shorthand->type().form == Form::one_or_many);
      if (!shorthand || (node->is_list() && !lists)) FailType("a map of options", *node);
      for (const Field& field : type.fields) {
        const Node* given = &field == shorthand ? node : nullptr;
        Below(field.name(), field.type(), field.Of(value), Given(field, given), &field);
      }
      return;
    }
    if (node) CheckKeys(type, variant, *node);
    for (const Field& field : type.fields) {
      const Node* given = node ? node->Find(field.name()) : nullptr;
      Below(field.name(), field.type(), field.Of(value), Given(field, given), &field);
    }
  }

  void CheckKeys(const Type& type, const Type* variant, const Node& node) const {
    for (size_t i = 0; i < node.keys.size(); ++i) {
      const std::string& key = node.keys[i];
      if (type.Find(key) || (variant && key == "kind")) continue;
      FailUnknown(root_, type, variant, path_, key, At(node.items[i]));
    }
  }

  const Node* Given(const Field& field, const Node* node) const {
    if (!field.required() || (node && !node->is_null())) return node;
    Fail("--" + Join(path_, field.name()) + " (" + field.help() + ")", "nothing" + (node ? At(*node) : ""));
  }

  void Variant(const Type& type, void* value, const Node* node) {
    const auto held = [&]() -> const Type& { return type.alternatives[static_cast<size_t>(type.index(value))](); };
    const Node* kind = node && node->is_map() ? node->Find("kind") : node;
    if (node && !node->is_map() && !node->is_scalar() && !node->is_null()) FailType("a map of options with a kind", *node);
    if (kind && !kind->is_null()) {
      const Type* named = kind->is_scalar() ? type.Alternative(kind->text) : nullptr;
      if (!named) FailChoice(type, *kind, Join(path_, "kind"));
      if (named != &held()) {
        int i = 0;
        while (&type.alternatives[static_cast<size_t>(i)]() != named) ++i;
        type.select(value, i);
      }
    }
    const Type& alternative = held();
    Record(alternative, &type, type.at(value, 0), node && node->is_map() ? node : nullptr);
  }

  [[noreturn]] void FailChoice(const Type& type, const Node& node, const std::string& path) const {
    const std::vector<std::string> names = type.Names();
    std::string list;
    for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
    const std::string near = node.is_scalar() ? DidYouMean(node.text, names) : "";
    Fail(path + " to be one of " + list, Shown(node) + At(node) + near);
  }

  void Holder(const Type& type, void* value, const Node& node, const Field* field) {
    if (node.is_null()) return type.resize(value, 0, false);
    if (type.size(value) == 0) type.resize(value, 1, false);
    Value(type.element(), type.at(value, 0), &node, field);
  }

  void List(const Type& type, void* value, const Node& node, const Field* field) {
    if (!node.is_list()) FailType("a " + type.Describe() + (node.is_scalar() ? " such as [" + Shown(node) + "]" : ""), node);
    Elements(type, value, node, field);
  }

  void OneOrMany(const Type& type, void* value, const Node& node, const Field* field) {
    if (node.is_list()) return Elements(type, value, node, field);
    if (node.is_null() && HasOptions(type)) return;  // as for a record: all defaults
    type.resize(value, 1, true);
    Value(type.element(), type.at(value, 0), &node, field);
  }

  void Elements(const Type& type, void* value, const Node& node, const Field* field) {
    type.resize(value, node.items.size(), false);
    for (size_t i = 0; i < node.items.size(); ++i) Below(std::to_string(i), type.element(), type.at(value, i), &node.items[i], field);
  }

  void Scalar(const Type& type, void* value, const Node& node, const Field* field) {
    if (type.form == Form::choice) return Choice(type, value, node);
    if (!node.is_scalar()) FailType(type.form == Form::boolean || type.form == Form::text ? type.Describe() : Article(type), node);
    switch (type.form) {
      case Form::text:
        *static_cast<std::string*>(value) = node.text;
        return;
      case Form::boolean:
        *static_cast<bool*>(value) = Boolean(type, node);
        return;
      case Form::int32:
        *static_cast<int32_t*>(value) = Integer<int32_t>(type, node, field);
        return;
      case Form::int64:
        *static_cast<int64_t*>(value) = Integer<int64_t>(type, node, field);
        return;
      default:
        *static_cast<double*>(value) = Real(type, node, field);
        return;
    }
  }

  static std::string Article(const Type& type) { return (type.form == Form::real ? "a " : "an ") + type.Describe(); }

  void Choice(const Type& type, void* value, const Node& node) const {
    for (const auto* names : {&type.choices, &type.aliases}) {
      for (const attend::Choice& choice : *names)
        if (node.is_scalar() && choice.name == node.text) return type.select(value, choice.value);
    }
    FailChoice(type, node, path_);
  }

  bool Boolean(const Type& type, const Node& node) const {
    if (node.text == "true" || node.text == "True" || node.text == "TRUE") return true;
    if (node.text == "false" || node.text == "False" || node.text == "FALSE") return false;
    FailType(type.Describe(), node);
  }

  template <class T>
  T Integer(const Type& type, const Node& node, const Field* field) const {
    const auto number = ParseInteger(node.text);
    if (!number || *number < std::numeric_limits<T>::min() || *number > std::numeric_limits<T>::max()) {
      FailType(Article(type) + Bounded(field), node);
    }
    CheckBounds(static_cast<long double>(*number), node, field);
    return static_cast<T>(*number);
  }

  double Real(const Type& type, const Node& node, const Field* field) const {
    const auto number = ParseReal(node.text);
    if (!number) FailType(Article(type) + Bounded(field), node);
    CheckBounds(*number, node, field);
    return *number;
  }

  static std::string Bounded(const Field* field) { return field && !field->bounds().empty() ? " " + field->bounds().Text() : ""; }

  void CheckBounds(long double number, const Node& node, const Field* field) const {
    if (!field || field->bounds().Contains(number)) return;
    Fail(path_ + Bounded(field), Shown(node) + At(node));
  }

  const Type& root_;
  const Source& source_;
  std::string path_;
};

}  // namespace

void internal::Read(const Type& type, void* value, const Source& source) {
  const Node tree = Lay(type, value, source);
  Reader(type, source).Value(type, value, &tree, nullptr);
  // Shorthands and defaults may add levels to those that were written.
  if (ToTree(type, value).Depth() > kMaxDepth) {
    Fail("at most " + std::to_string(kMaxDepth) + " levels of lists and maps", "more in the resolved configuration");
  }
}

}  // namespace attend::config
