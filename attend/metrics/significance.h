#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "attend/base/error.h"
#include "attend/kernels/random.h"

namespace attend::metrics {

// What is known of the difference between two systems' scores on the same segments.
struct PairedTest {
  double first = 0, second = 0;            // scores
  double p = 1;                            // of a difference as large as this one or larger, either way, between equal systems
  double low = 0, high = 0;                // 95 % interval of first - second
  int64_t wins = 0, ties = 0, losses = 0;  // segments on which the first is better, the same, worse
  int64_t segments = 0, trials = 0;

  double difference() const { return first - second; }
};

// Paired approximate randomisation (Noreen 1989; Riezler and Maxwell 2005): were the systems equal, swapping their outputs of any segment
// would change nothing. In each trial every segment is swapped or not by a coin; c trials reach the observed difference, and p = (c + 1) /
// (trials + 1), so that equal outputs have p = 1. The interval is that of a paired bootstrap: as many segments drawn as there are, 2.5
// and 97.5 per cent of the signed differences. It speaks of other texts, not of other training runs.
//
// first, second: what each segment adds to a sum; score(sum) -> a number; both systems' segments in the same order. The same seed gives the
// same numbers. UserError when the numbers of segments differ or there is none.
template <class Statistics, class Score>
PairedTest ComparePaired(std::span<const Statistics> first, std::span<const Statistics> second, Score&& score, int64_t trials,
                         uint64_t seed) {
  if (first.size() != second.size() || first.empty())
    throw UserError("significance", "as many segments of both systems, at least one",
                    std::to_string(first.size()) + " and " + std::to_string(second.size()));
  PairedTest out;
  const auto n = static_cast<uint32_t>(first.size());
  out.segments = n;
  out.trials = trials;
  Statistics one{}, two{};
  for (uint32_t i = 0; i < n; i++) {
    one += first[i];
    two += second[i];
    const double a = score(first[i]), b = score(second[i]);
    (a > b ? out.wins : a < b ? out.losses : out.ties)++;
  }
  out.first = score(one);
  out.second = score(two);
  // A trial that gives back the observed sums, up to the order of addition, counts.
  const double observed = std::abs(out.difference()) * (1 - 1e-12);
  int64_t reached = 0;
  std::vector<double> differences;
  for (int64_t t = 0; t < trials; t++) {
    random::Stream coins(random::RowKey(seed, random::Purpose("significance.swap"), 0, static_cast<uint64_t>(t)));
    Statistics a{}, b{};
    uint32_t word = 0;
    for (uint32_t i = 0; i < n; i++) {
      if (i % 32 == 0) word = coins.Next();
      const bool swap = word >> (i % 32) & 1;
      a += swap ? second[i] : first[i];
      b += swap ? first[i] : second[i];
    }
    reached += std::abs(score(a) - score(b)) >= observed;
    random::Stream draws(random::RowKey(seed, random::Purpose("significance.draw"), 0, static_cast<uint64_t>(t)));
    Statistics c{}, d{};
    for (uint32_t i = 0; i < n; i++) {
      const uint32_t k = draws.Below(n);
      c += first[k];
      d += second[k];
    }
    differences.push_back(score(c) - score(d));
  }
  out.p = static_cast<double>(reached + 1) / static_cast<double>(trials + 1);
  if (differences.empty()) return out;
  std::sort(differences.begin(), differences.end());
  const auto at = [&](double share) { return differences[static_cast<size_t>(share * static_cast<double>(differences.size() - 1) + 0.5)]; };
  out.low = at(0.025);
  out.high = at(0.975);
  return out;
}

// Holm 1979: p values of several comparisons, each multiplied so that the chance of any false finding among them stays below the level at
// which they are then read. In the order given; at most 1.
std::vector<double> Holm(std::span<const double> p);

}  // namespace attend::metrics
