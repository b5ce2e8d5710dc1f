#pragma once

#include <span>
#include <string>
#include <vector>

#include "attend/base/enum.h"

namespace attend::metrics {

// What validation, `attend evaluate` and plateau schedules can measure. The names are those of options, logs and JSON.
enum class MetricKind { perplexity, bleu, chrf, chrf_plus_plus, accuracy, alignment_error_rate, bits_per_character };

std::span<const Choice> Choices(MetricKind);

// False for perplexity and error rates: there a smaller value is the better one.
bool HigherIsBetter(MetricKind kind);

// One measured figure.
struct Metric {
  MetricKind kind = MetricKind::perplexity;
  std::string name;       // as the field writes it: "BLEU", "chrF2++"
  double value = 0;       // in the field's unit: BLEU and chrF 0 to 100, rates 0 to 1, perplexity from 1
  std::string signature;  // sacreBLEU's, so that the figure can be reproduced; empty where the field has none
  std::string details;    // what the figure consists of, e.g. BLEU's precisions and brevity penalty; may be empty
};

// "BLEU|nrefs:1|…|version:2.6.0 = 34.21 65.0/41.2/28.0/19.3 (BP = …)": sacreBLEU's line; BLEU and chrF with two decimals,
// others with four.
std::string Line(const Metric& metric);

// {"metric": "bleu", "name": "BLEU", "value": 34.2131…, "signature": "…", "details": "…"}: the value with all its digits, null
// where it is not finite; empty texts are left out.
std::string Json(const Metric& metric);

// The same for several, as one JSON array.
std::string Json(std::span<const Metric> metrics);

}  // namespace attend::metrics
