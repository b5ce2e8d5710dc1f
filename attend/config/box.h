#pragma once

#include <memory>
#include <utility>

namespace attend::config {

// At most one T on the heap with the semantics of a value: copies are deep. It stands where a type contains itself
// (a mixture of specs in a spec). Empty by default; in YAML null is empty.
template <class T>
class Box {
 public:
  using value_type = T;

  Box() = default;
  Box(T value) : pointer_(std::make_unique<T>(std::move(value))) {}  // implicit: a T is written where a Box<T> is wanted
  Box(const Box& other) : pointer_(other.pointer_ ? std::make_unique<T>(*other.pointer_) : nullptr) {}
  Box(Box&&) noexcept = default;
  Box& operator=(Box other) noexcept {
    pointer_ = std::move(other.pointer_);
    return *this;
  }
  ~Box() = default;

  explicit operator bool() const { return pointer_ != nullptr; }
  bool has_value() const { return pointer_ != nullptr; }
  T& operator*() { return *pointer_; }
  const T& operator*() const { return *pointer_; }
  T* operator->() { return pointer_.get(); }
  const T* operator->() const { return pointer_.get(); }
  T& emplace() { return *(pointer_ = std::make_unique<T>()); }
  void reset() { pointer_.reset(); }

  friend bool operator==(const Box& a, const Box& b) { return a.pointer_ && b.pointer_ ? *a == *b : a.pointer_ == b.pointer_; }

 private:
  std::unique_ptr<T> pointer_;
};

}  // namespace attend::config
