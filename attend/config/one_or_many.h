#pragma once

#include <cstddef>
#include <initializer_list>
#include <utility>
#include <vector>

namespace attend::config {

// A union: one T stands for a list of one T, and is printed as it was given (`files: a` or `files: [a, b]`).
// Empty by default.
template <class T>
class OneOrMany {
 public:
  using value_type = T;

  OneOrMany() = default;
  OneOrMany(T one) : single_(true) { values_.push_back(std::move(one)); }
  OneOrMany(std::initializer_list<T> many) : values_(many) {}
  explicit OneOrMany(std::vector<T> many) : values_(std::move(many)) {}

  const std::vector<T>& values() const { return values_; }
  bool single() const { return single_; }
  bool empty() const { return values_.empty(); }
  size_t size() const { return values_.size(); }
  T& operator[](size_t i) { return values_[i]; }
  const T& operator[](size_t i) const { return values_[i]; }
  auto begin() { return values_.begin(); }
  auto end() { return values_.end(); }
  auto begin() const { return values_.begin(); }
  auto end() const { return values_.end(); }

  // n default values; single says how they are printed and needs n = 1.
  void Assign(size_t n, bool single) {
    values_.clear();
    values_.resize(n);
    single_ = single;
  }

  friend bool operator==(const OneOrMany&, const OneOrMany&) = default;

 private:
  std::vector<T> values_;
  bool single_ = false;
};

}  // namespace attend::config
