#include "attend/metrics/ngrams.h"

namespace attend::metrics {

int32_t NgramIndex::Item(std::u32string_view item) {
  const auto [place, added] = items_.try_emplace(item, count_);
  if (added) ++count_;
  return place->second;
}

std::vector<std::vector<int32_t>> NgramIndex::All(const std::vector<int32_t>& items, int max_order) {
  std::vector<std::vector<int32_t>> orders(static_cast<size_t>(max_order));
  orders[0] = items;
  for (size_t n = 2; n <= orders.size(); ++n) {
    for (size_t i = 0; i + n <= items.size(); ++i) {
      const uint64_t first = static_cast<uint32_t>(orders[n - 2][i]), last = static_cast<uint32_t>(items[i + n - 1]);
      const auto [place, added] = pairs_.try_emplace(first << 32 | last, count_);
      if (added) ++count_;
      orders[n - 1].push_back(place->second);
    }
  }
  return orders;
}

}  // namespace attend::metrics
