#pragma once

#include <cstdint>

#include "attend/metrics/metric.h"

namespace attend::metrics {

// The negative log-likelihood (natural logarithm) of reference tokens, end symbols included, summed over them. Label smoothing
// has no part in it.
struct LogLikelihood {
  double negative = 0;
  int64_t tokens = 0;

  LogLikelihood& operator+=(const LogLikelihood& other) {
    negative += other.negative;
    tokens += other.tokens;
    return *this;
  }
};

// exp(negative / tokens); infinite where it overflows. Throws UserError when there is no token.
double Perplexity(const LogLikelihood& sum);

// Details: the mean in nats and the number of tokens.
Metric PerplexityMetric(const LogLikelihood& sum);

// negative / log(2) / characters, of the same text. Throws UserError when there is no character. Details: the number of characters.
Metric BitsPerCharacterMetric(const LogLikelihood& sum, int64_t characters);

}  // namespace attend::metrics
