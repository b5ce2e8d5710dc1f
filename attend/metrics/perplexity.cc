#include "attend/metrics/perplexity.h"

#include <cmath>
#include <cstdio>

namespace attend::metrics {

double Perplexity(const LogLikelihood& sum) {
  if (sum.tokens <= 0) throw UserError("perplexity", "at least one token", std::to_string(sum.tokens));
  return std::exp(sum.negative / static_cast<double>(sum.tokens));
}

Metric PerplexityMetric(const LogLikelihood& sum) {
  const double perplexity = Perplexity(sum);
  char details[400];
  std::snprintf(details, sizeof details, "(nll = %.4f tokens = %lld)", sum.negative / static_cast<double>(sum.tokens),
                static_cast<long long>(sum.tokens));
  return {MetricKind::perplexity, "perplexity", perplexity, "", details};
}

Metric BitsPerCharacterMetric(const LogLikelihood& sum, int64_t characters) {
  if (characters <= 0) throw UserError("bits per character", "at least one character", std::to_string(characters));
  const double bits = sum.negative / std::log(2.0) / static_cast<double>(characters);
  return {MetricKind::bits_per_character, "bits per character", bits, "", "(characters = " + std::to_string(characters) + ")"};
}

}  // namespace attend::metrics
