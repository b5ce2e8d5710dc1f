#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attend/report/attention_map.h"

namespace attend::report {

// Which heads of a map a picture shows: one of them (0, 1, …), their mean, or per cell the largest of them.
inline constexpr int64_t kMeanOfHeads = -1;
inline constexpr int64_t kMaxOfHeads = -2;

// (rows, columns). Throws UserError for a head that the map does not have. `map` must have passed Check.
std::vector<float> CombineHeads(const AttentionMap& map, int64_t head);

// "mean of 8 heads", "largest of 8 heads", "head 3 of 8"; empty for a map with one head.
std::string HeadName(const AttentionMap& map, int64_t head);

}  // namespace attend::report
