#include "attend/metrics/entropy.h"

#include <cmath>
#include <cstddef>

namespace attend::metrics {

void RowEntropy::Add(std::span<const float> weights, int64_t columns) {
  if (columns <= 0) return;
  const auto width = static_cast<size_t>(columns);
  for (size_t begin = 0; begin + width <= weights.size(); begin += width) {
    // With w = s·p: −Σ p log p = log s − Σ w log w / s.
    double sum = 0, terms = 0;
    for (const float weight : weights.subspan(begin, width)) {
      if (weight == 0) continue;
      sum += weight;
      terms += weight * std::log(static_cast<double>(weight));
    }
    if (sum == 0) continue;
    nats += std::log(sum) - terms / sum;
    ++rows;
  }
}

}  // namespace attend::metrics
