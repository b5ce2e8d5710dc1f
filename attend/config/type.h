#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attend/base/enum.h"

namespace attend::config {

// What a declaration says, without C++ types: reader, writer, help and docs are written once against it.
struct Type;
using TypeRef = const Type& (*)();  // resolved when used, so that a type may contain itself

enum class Form { boolean, int32, int64, real, text, choice, optional, box, list, one_or_many, record, variant };

struct Bound {
  long double value;  // holds every int64 exactly
  bool open = false;
};

// The legal interval of a number.
struct Bounds {
  std::optional<Bound> low, high;

  bool Contains(long double x) const;
  bool empty() const { return !low && !high; }
  // "in [1, 10)", ">= 0", "< 1"; empty without bounds.
  std::string Text() const;
};

// One declared option. The methods are what a declaration may say about it; bounds of a list or an optional are
// those of its elements.
class Field {
 public:
  Field(std::string_view its_name, std::string_view its_help, TypeRef its_type, std::function<void*(void*)> member)
      : name_(its_name), help_(its_help), type_(its_type), member_(std::move(member)) {}

  Field& Range(long double low, long double high) { return Min(low).Max(high); }
  Field& Min(long double low) { return Low({low, false}); }
  Field& Max(long double high) { return High({high, false}); }
  Field& Above(long double low) { return Low({low, true}); }
  Field& Below(long double high) { return High({high, true}); }
  Field& Unit(std::string_view its_unit) {
    unit_ = its_unit;
    return *this;
  }
  // An error when neither file nor flag gives it.
  Field& Required() {
    required_ = true;
    return *this;
  }
  // Listed after the others.
  Field& Advanced() {
    advanced_ = true;
    return *this;
  }

  const std::string& name() const { return name_; }
  const std::string& help() const { return help_; }
  const std::string& unit() const { return unit_; }
  const Bounds& bounds() const { return bounds_; }
  bool required() const { return required_; }
  bool advanced() const { return advanced_; }
  const Type& type() const { return type_(); }
  // The member of `record`, an object of the type that declares this field.
  void* Of(void* record) const { return member_(record); }
  const void* Of(const void* record) const { return member_(const_cast<void*>(record)); }

 private:
  Field& Low(Bound bound) {
    bounds_.low = bound;
    return *this;
  }
  Field& High(Bound bound) {
    bounds_.high = bound;
    return *this;
  }

  std::string name_, help_, unit_;
  Bounds bounds_;
  bool required_ = false, advanced_ = false;
  TypeRef type_;
  std::function<void*(void*)> member_;
};

// A type of option; immutable, one per C++ type, compared by address.
struct Type {
  Form form = Form::text;
  std::shared_ptr<void> (*make)() = nullptr;  // a default value

  TypeRef element = nullptr;               // optional, box, list, one_or_many
  std::vector<Field> fields;               // record
  std::string_view kind, shorthand, help;  // record; empty where it declares none
  std::vector<TypeRef> alternatives;       // variant: records with a kind
  std::vector<Choice> choices, aliases;    // choice

  // optional, box (0 or 1), list, one_or_many
  size_t (*size)(const void*) = nullptr;
  void (*resize)(void*, size_t, bool single) = nullptr;  // to n default values
  bool (*single)(const void*) = nullptr;                 // one_or_many: given as one value
  void* (*at)(void*, size_t) = nullptr;                  // also variant: the alternative held
  // choice: its value; variant: the index of the alternative held
  int (*index)(const void*) = nullptr;
  void (*select)(void*, int) = nullptr;  // variant: its default value

  const void* At(const void* value, size_t i) const { return at(const_cast<void*>(value), i); }
  const Field* Find(std::string_view name) const;        // record
  const Type* Alternative(std::string_view name) const;  // variant
  std::vector<std::string> Names() const;                // record: fields; choice; variant: kinds
  bool IsScalar() const { return form <= Form::choice; }
  // "integer", "list of numbers", "text or null": for help and docs.
  std::string Describe() const;
};

}  // namespace attend::config
