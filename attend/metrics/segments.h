#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attend/base/error.h"

namespace attend::metrics {

// Outputs and each set of references must have the same number of segments, at least one.
inline void CheckSegments(std::string_view part, std::span<const std::string> outputs,
                          std::span<const std::vector<std::string>> references) {
  if (outputs.empty()) throw UserError(part, "at least one line of output", "none");
  if (references.empty()) throw UserError(part, "at least one reference", "none");
  for (const std::vector<std::string>& lines : references) {
    if (lines.size() != outputs.size())
      throw UserError(part, "as many reference lines as output lines",
                      std::to_string(outputs.size()) + " lines of output and " + std::to_string(lines.size()) + " of reference");
  }
}

// Statistics of every segment: one(output, its references) for each.
template <class One>
auto EachSegment(std::span<const std::string> outputs, std::span<const std::vector<std::string>> references, One one) {
  std::vector<decltype(one(std::string_view(), std::span<const std::string>()))> all;
  all.reserve(outputs.size());
  std::vector<std::string> of_segment(references.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    for (size_t r = 0; r < references.size(); ++r) of_segment[r] = references[r][i];
    all.push_back(one(std::string_view(outputs[i]), std::span<const std::string>(of_segment)));
  }
  return all;
}

}  // namespace attend::metrics
