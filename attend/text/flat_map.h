#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace attend::text {

// A read-mostly map from 64-bit keys to ids in one open-addressed array: look-ups are the inner loop of tokenisation.
class FlatMap {
 public:
  // Room for `n` keys, at most half full.
  explicit FlatMap(size_t n) : slots_(std::bit_ceil(2 * n + 2)), shift_(64 - std::countr_zero(slots_.size())) {}

  // `key` must not be kEmpty. Keeps the first value of a key; returns the one kept.
  int32_t Insert(uint64_t key, int32_t value) {
    Slot& slot = slots_[Find(key)];
    if (slot.key == kEmpty) {
      slot = {key, value};
      if (2 * ++size_ > slots_.size()) Grow();
      return value;
    }
    return slot.value;
  }
  // The value of `key`, or -1.
  int32_t operator[](uint64_t key) const { return slots_[Find(key)].value; }

 private:
  static constexpr uint64_t kEmpty = ~uint64_t{0};
  struct Slot {
    uint64_t key = kEmpty;
    int32_t value = -1;
  };

  size_t Find(uint64_t key) const {
    size_t i = key * 0x9E3779B97F4A7C15u >> shift_;  // Fibonacci hashing (Knuth 6.4)
    while (slots_[i].key != key && slots_[i].key != kEmpty) i = (i + 1) & (slots_.size() - 1);
    return i;
  }
  void Grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    shift_--;
    for (const Slot& slot : old)
      if (slot.key != kEmpty) slots_[Find(slot.key)] = slot;
  }

  std::vector<Slot> slots_;
  int shift_;
  size_t size_ = 0;
};

}  // namespace attend::text
