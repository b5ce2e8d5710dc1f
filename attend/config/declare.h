#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "attend/config/box.h"
#include "attend/config/one_or_many.h"
#include "attend/config/type.h"

namespace attend::config {

// The Type of a C++ type:
//   bool, int, int64_t, double (finite), std::string, enums with Choices(E), std::optional, std::vector,
//   Box, OneOrMany, std::variant of structs that name themselves by
//       static constexpr std::string_view kKind = "rnn";
//   (chosen by the key `kind`, the first by default), and structs that declare their options by
//       template <class F> static void Declare(F& field) { field("epochs", &Self::epochs, "passes over the data").Min(1); }
// A struct may also say
//       static constexpr std::string_view kShorthand = "score";   a bare scalar sets this field
//       static constexpr std::string_view kHelp = "...";          one line for help and docs
// Thread-safe.
template <class T>
const Type& TypeOf();

namespace internal {

// What Declare receives.
template <class Record>
class Declarer {
 public:
  explicit Declarer(std::vector<Field>& fields) : fields_(fields) {}

  template <class Owner, class Member>
  Field& operator()(std::string_view name, Member Owner::*member, std::string_view help) {
    static_assert(std::is_base_of_v<Owner, Record>, "a field of another struct");
    return fields_.emplace_back(name, help, &TypeOf<Member>,
                                [member](void* record) -> void* { return &(static_cast<Record*>(record)->*member); });
  }

 private:
  std::vector<Field>& fields_;
};

// Throws std::logic_error on a declaration that could not be read or written.
void CheckRecord(const Type& record);

template <class T>
struct Describe {
  static_assert(
      std::is_enum_v<T> || requires { T::kKind; } || requires(Declarer<T>& d) { T::Declare(d); },
      "not a type of option: see attend/config/declare.h");

  static void Fill(Type& type) {
    if constexpr (std::is_enum_v<T>) {
      type.form = Form::choice;
      for (const Choice& c : Choices(T{})) type.choices.push_back(c);
      if constexpr (requires { Aliases(T{}); }) {
        for (const Choice& c : Aliases(T{})) type.aliases.push_back(c);
      }
      type.index = [](const void* value) { return static_cast<int>(*static_cast<const T*>(value)); };
      type.select = [](void* value, int i) { *static_cast<T*>(value) = static_cast<T>(i); };
    } else {
      type.form = Form::record;
      if constexpr (requires { T::kKind; }) type.kind = T::kKind;
      if constexpr (requires { T::kShorthand; }) type.shorthand = T::kShorthand;
      if constexpr (requires { T::kHelp; }) type.help = T::kHelp;
      Declarer<T> declarer(type.fields);
      if constexpr (requires { T::Declare(declarer); }) T::Declare(declarer);
      CheckRecord(type);
    }
  }
};

template <Form kForm>
struct DescribeScalar {
  static void Fill(Type& type) { type.form = kForm; }
};
template <>
struct Describe<bool> : DescribeScalar<Form::boolean> {};
template <>
struct Describe<int32_t> : DescribeScalar<Form::int32> {};
template <>
struct Describe<int64_t> : DescribeScalar<Form::int64> {};
template <>
struct Describe<double> : DescribeScalar<Form::real> {};
template <>
struct Describe<std::string> : DescribeScalar<Form::text> {};

// optional and box: none or one element.
template <class Holder>
void FillHolder(Type& type, Form form) {
  type.form = form;
  type.element = &TypeOf<typename Holder::value_type>;
  type.size = [](const void* value) -> size_t { return static_cast<const Holder*>(value)->has_value(); };
  type.resize = [](void* value, size_t n, bool) {
    auto& holder = *static_cast<Holder*>(value);
    if (n == 0) {
      holder.reset();
    } else {
      holder.emplace();
    }
  };
  type.at = [](void* value, size_t) -> void* { return &**static_cast<Holder*>(value); };
}
template <class T>
struct Describe<std::optional<T>> {
  static void Fill(Type& type) { FillHolder<std::optional<T>>(type, Form::optional); }
};
template <class T>
struct Describe<Box<T>> {
  static void Fill(Type& type) { FillHolder<Box<T>>(type, Form::box); }
};

template <class List>
void FillList(Type& type, Form form) {
  using Element = typename List::value_type;
  static_assert(!std::is_same_v<Element, bool>, "std::vector<bool> has no addressable elements");
  type.form = form;
  type.element = &TypeOf<Element>;
  type.size = [](const void* value) -> size_t { return static_cast<const List*>(value)->size(); };
  type.at = [](void* value, size_t i) -> void* { return &(*static_cast<List*>(value))[i]; };
}
template <class T>
struct Describe<std::vector<T>> {
  static void Fill(Type& type) {
    FillList<std::vector<T>>(type, Form::list);
    type.resize = [](void* value, size_t n, bool) { *static_cast<std::vector<T>*>(value) = std::vector<T>(n); };
  }
};
template <class T>
struct Describe<OneOrMany<T>> {
  static void Fill(Type& type) {
    FillList<OneOrMany<T>>(type, Form::one_or_many);
    type.resize = [](void* value, size_t n, bool single) { static_cast<OneOrMany<T>*>(value)->Assign(n, single); };
    type.single = [](const void* value) { return static_cast<const OneOrMany<T>*>(value)->single(); };
  }
};

template <class... Ts>
struct Describe<std::variant<Ts...>> {
  using Variant = std::variant<Ts...>;
  static void Fill(Type& type) {
    type.form = Form::variant;
    (type.alternatives.push_back(&TypeOf<Ts>), ...);
    type.index = [](const void* value) { return static_cast<int>(static_cast<const Variant*>(value)->index()); };
    type.select = [](void* value, int i) {
      int k = 0;
      ((k++ == i ? void(static_cast<Variant*>(value)->template emplace<Ts>()) : void()), ...);
    };
    type.at = [](void* value, size_t) -> void* {
      return std::visit([](auto& held) -> void* { return &held; }, *static_cast<Variant*>(value));
    };
  }
};

}  // namespace internal

template <class T>
const Type& TypeOf() {
  static const Type kType = [] {
    Type type;
    type.make = []() -> std::shared_ptr<void> { return std::make_shared<T>(); };
    internal::Describe<T>::Fill(type);
    return type;
  }();
  return kType;
}

}  // namespace attend::config
