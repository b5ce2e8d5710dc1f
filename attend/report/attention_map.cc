#include "attend/report/attention_map.h"

#include <cmath>

#include "attend/base/error.h"

namespace attend::report {
namespace {

std::string Part(const AttentionMap& map) { return "report " + (map.path.empty() ? std::string("(map without a path)") : map.path); }

}  // namespace

void Check(const AttentionMap& map) {
  const size_t rows = map.rows.size(), columns = map.columns.size(), found = map.weights.size();
  if (map.heads < 1) throw UserError(Part(map), "at least one head", std::to_string(map.heads) + " heads");
  const size_t heads = static_cast<size_t>(map.heads);
  // Divisions instead of products: no number of heads can overflow.
  const size_t cells = rows * columns;
  if (cells == 0 ? found != 0 : found % cells != 0 || found / cells != heads) {
    throw UserError(Part(map),
                    "weights of shape (" + std::to_string(heads) + " heads, " + std::to_string(rows) + " row tokens, " +
                        std::to_string(columns) + " column tokens)",
                    std::to_string(found) + " weights");
  }
  for (size_t i = 0; i < found; ++i) {
    const float w = map.weights[i];
    if (std::isfinite(w) && w >= 0) continue;
    throw UserError(Part(map), "finite weights of at least 0",
                    std::to_string(w) + " at head " + std::to_string(i / cells + 1) + ", row " + std::to_string(i % cells / columns + 1) +
                        ", column " + std::to_string(i % columns + 1));
  }
}

void Check(const AttentionReport& report) {
  for (const AttentionExample& example : report.examples)
    for (const AttentionMap& map : example.maps) Check(map);
}

}  // namespace attend::report
