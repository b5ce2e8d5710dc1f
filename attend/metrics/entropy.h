#pragma once

#include <cstdint>
#include <span>

namespace attend::metrics {

// The entropy of attention rows, summed: how widely a layer looks. Rows in which nothing is visible (all weights 0) count for
// nothing, and so does padding, whose weights are 0.
struct RowEntropy {
  double nats = 0;
  int64_t rows = 0;

  // Adds the rows of weights (rows, columns), none negative. A row is scaled to sum to 1, which changes nothing for softmax,
  // and makes the sigmoid's rows distributions. A weight that is not a number makes the sum not a number.
  void Add(std::span<const float> weights, int64_t columns);

  RowEntropy& operator+=(const RowEntropy& other) {
    nats += other.nats;
    rows += other.rows;
    return *this;
  }

  // Mean over rows in nats: 0 (one position) to log(columns) (all alike). 0 when there was no row.
  double Mean() const { return rows > 0 ? nats / static_cast<double>(rows) : 0; }
};

}  // namespace attend::metrics
