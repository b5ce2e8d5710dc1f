#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace attend::metrics {

// Gives every n-gram of the sequences of one segment (an output and its references) a number, so that counting is done in arrays
// of integers. An n-gram is the pair of its first n−1 items, already numbered, and its last item: any order, exact, and linear
// in the length. Not thread-safe; one object a segment.
class NgramIndex {
 public:
  // The number of a word or character.
  int32_t Item(std::u32string_view item);

  // Numbers of all n-grams of the orders 1 to max_order: result[n − 1][i] is the n-gram that begins at i. Numbers of different
  // orders never coincide.
  std::vector<std::vector<int32_t>> All(const std::vector<int32_t>& items, int max_order);

  // Numbers are 0 to Size() − 1.
  size_t Size() const { return static_cast<size_t>(count_); }

 private:
  std::unordered_map<std::u32string_view, int32_t> items_;
  std::unordered_map<uint64_t, int32_t> pairs_;
  int32_t count_ = 0;
};

}  // namespace attend::metrics
