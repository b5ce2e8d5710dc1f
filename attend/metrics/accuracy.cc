#include "attend/metrics/accuracy.h"

#include <cstddef>

namespace attend::metrics {

Tally ExactMatches(std::span<const std::string> outputs, std::span<const std::string> references) {
  if (outputs.size() != references.size())
    throw UserError("exact match", "as many reference lines as output lines",
                    std::to_string(outputs.size()) + " lines of output and " + std::to_string(references.size()) + " of reference");
  if (outputs.empty()) throw UserError("exact match", "at least one line of output", "none");
  Tally out;
  for (size_t i = 0; i < outputs.size(); ++i) {
    out.right += outputs[i] == references[i];
    ++out.all;
  }
  return out;
}

double Accuracy(const Tally& tally) {
  if (tally.all <= 0) throw UserError("accuracy", "at least one example", std::to_string(tally.all));
  return static_cast<double>(tally.right) / static_cast<double>(tally.all);
}

Metric AccuracyMetric(const Tally& tally, const std::string& name) {
  return {MetricKind::accuracy, name, Accuracy(tally), "", "(" + std::to_string(tally.right) + " of " + std::to_string(tally.all) + ")"};
}

}  // namespace attend::metrics
