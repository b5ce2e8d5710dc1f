#pragma once

#include <string>

#include "attend/report/attention_map.h"
#include "attend/report/heads.h"

namespace attend::report {

struct SvgOptions {
  int64_t head = kMeanOfHeads;
  std::string title = "";        // above the map; empty: the map's path and heads
  bool per_row_maximum = false;  // colours relative to each row's largest weight instead of 0 to 1; the legend says so
};

// A standalone picture of one map, on white, with both axes named, a legend, and the weights written into the cells where there is room.
// Fonts are generic families (none is embedded); tokens keep their own direction, and positions run right to left where the
// language does. Throws UserError where tokens and weights do not match, or for more than 250,000 cells.
std::string RenderSvg(const AttentionMap& map, const SvgOptions& options = {});

}  // namespace attend::report
