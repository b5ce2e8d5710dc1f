#include "attend/search/penalty.h"

#include <algorithm>
#include <cmath>

namespace attend::search {

double LengthDivisor(const SearchOptions& options, int length) {
  switch (options.length_penalty) {
    case LengthPenalty::none:
      return 1;
    case LengthPenalty::average:
      return std::pow(std::max(length, 1), options.length_alpha);
    case LengthPenalty::wu:
      return std::pow((5.0 + length) / 6.0, options.length_alpha);
  }
  return 1;
}

double CoveragePenalty(const SearchOptions& options, std::span<const float> coverage) {
  double sum = 0;
  for (float c : coverage) sum += std::log(std::clamp(static_cast<double>(c), 1e-6, 1.0));
  return options.coverage_penalty * sum;
}

double ScoreBound(const SearchOptions& options, double log_prob, int length) { return log_prob / LengthDivisor(options, length); }

}  // namespace attend::search
