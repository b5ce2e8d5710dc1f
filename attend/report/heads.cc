#include "attend/report/heads.h"

#include <algorithm>

#include "attend/base/error.h"

namespace attend::report {

std::vector<float> CombineHeads(const AttentionMap& map, int64_t head) {
  if (head < kMaxOfHeads || head >= map.heads) {
    throw UserError("report " + map.path, "a head from 1 to " + std::to_string(map.heads) + ", mean or max",
                    "head " + std::to_string(head + 1));
  }
  const size_t cells = map.rows.size() * map.columns.size();
  if (head >= 0) {
    const auto begin = map.weights.begin() + static_cast<std::ptrdiff_t>(cells) * head;
    return {begin, begin + static_cast<std::ptrdiff_t>(cells)};
  }
  std::vector<float> out(cells);
  for (size_t i = 0; i < cells; ++i) {
    double sum = 0;
    float largest = 0;
    for (int64_t h = 0; h < map.heads; ++h) {
      const float w = map.weights[static_cast<size_t>(h) * cells + i];
      sum += w;
      largest = std::max(largest, w);
    }
    out[i] = head == kMeanOfHeads ? static_cast<float>(sum / static_cast<double>(map.heads)) : largest;
  }
  return out;
}

std::string HeadName(const AttentionMap& map, int64_t head) {
  if (map.heads == 1) return "";
  const std::string heads = std::to_string(map.heads);
  if (head == kMeanOfHeads) return "mean of " + heads + " heads";
  if (head == kMaxOfHeads) return "largest of " + heads + " heads";
  return "head " + std::to_string(head + 1) + " of " + heads;
}

}  // namespace attend::report
