#include "attend/search/batches.h"

#include <algorithm>
#include <numeric>

namespace attend::search {

std::vector<std::vector<int64_t>> Batches(std::span<const int64_t> lengths, const SearchOptions& options) {
  std::vector<int64_t> order(lengths.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto length = [&](int64_t i) { return std::max<int64_t>(lengths[static_cast<size_t>(i)], 1); };
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return length(a) > length(b); });
  std::vector<std::vector<int64_t>> out;
  int64_t longest = 0;
  for (int64_t i : order) {
    const bool fits = !out.empty() && static_cast<int64_t>(out.back().size()) < options.batch_sentences &&
                      static_cast<int64_t>(out.back().size() + 1) <= options.batch_tokens / longest;
    if (!fits) {
      out.emplace_back();
      longest = length(i);
    }
    out.back().push_back(i);
  }
  return out;
}

}  // namespace attend::search
