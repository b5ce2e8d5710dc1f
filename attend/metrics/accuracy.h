#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "attend/metrics/metric.h"

namespace attend::metrics {

// How many of how many were right.
struct Tally {
  int64_t right = 0, all = 0;

  Tally& operator+=(const Tally& other) {
    right += other.right;
    all += other.all;
    return *this;
  }
};

// Outputs that equal their reference byte for byte. Throws UserError for different numbers of lines and for none.
Tally ExactMatches(std::span<const std::string> outputs, std::span<const std::string> references);

// right / all, from 0 to 1. Throws UserError when there is nothing to count.
double Accuracy(const Tally& tally);

// `name` says what was counted: "exact match", "token accuracy".
Metric AccuracyMetric(const Tally& tally, const std::string& name);

}  // namespace attend::metrics
