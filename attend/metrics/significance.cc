#include "attend/metrics/significance.h"

#include <numeric>

namespace attend::metrics {

std::vector<double> Holm(std::span<const double> p) {
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] < p[b]; });
  std::vector<double> out(p.size());
  double least = 0;
  for (size_t rank = 0; rank < order.size(); rank++) {
    least = std::min(1.0, std::max(least, p[order[rank]] * static_cast<double>(p.size() - rank)));
    out[order[rank]] = least;
  }
  return out;
}

}  // namespace attend::metrics
