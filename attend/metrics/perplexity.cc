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

}  // namespace attend::metrics
