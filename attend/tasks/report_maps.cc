#include "attend/tasks/report_maps.h"

#include <algorithm>

namespace attend::tasks {

report::AttentionMap ToReport(const search::HypothesisMap& map, const std::vector<std::string>& rows,
                              const std::vector<std::string>& columns) {
  report::AttentionMap out{map.path,
                           "produces: target",
                           map.over == search::MapOver::source ? "reads from: source" : "reads from: target",
                           rows,
                           columns,
                           map.heads,
                           {}};
  const auto keys = static_cast<int64_t>(columns.size()), given = std::min(keys, map.keys);  // the last step may not have seen itself
  out.weights.reserve(static_cast<size_t>(map.heads * map.tokens * keys));
  // (tokens, heads, keys with padding) -> (heads, tokens, keys)
  for (int64_t h = 0; h < map.heads; h++)
    for (int64_t t = 0; t < map.tokens; t++) {
      const auto row = map.weights.begin() + (t * map.heads + h) * map.keys;
      out.weights.insert(out.weights.end(), row, row + given);
      out.weights.insert(out.weights.end(), static_cast<size_t>(keys - given), 0.0f);
    }
  return out;
}

std::vector<report::AttentionMap> ToReport(const std::vector<search::HypothesisMap>& maps, const std::vector<std::string>& rows,
                                           const std::string& start, const std::vector<std::string>& source) {
  std::vector<std::string> inputs = {start};
  inputs.insert(inputs.end(), rows.begin(), rows.end() - (rows.empty() ? 0 : 1));
  std::vector<report::AttentionMap> out;
  for (const search::HypothesisMap& map : maps)
    out.push_back(ToReport(map, rows, map.over == search::MapOver::source ? source : map.over == search::MapOver::input ? inputs : rows));
  return out;
}

}  // namespace attend::tasks
