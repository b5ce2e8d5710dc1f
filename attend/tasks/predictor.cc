#include "attend/base/error.h"
#include "attend/tasks/runtime.h"

namespace attend::tasks {
namespace {

[[noreturn]] void FailTask(const Predictor& predictor, std::string_view part, std::string_view expected) {
  throw UserError(std::string(part), std::string(expected), "one of task " + std::string(predictor.task()));
}

constexpr std::string_view kLines = "a model that turns lines into lines, such as one of task translate",
                           kText = "a model that goes on with a text, one of task language_model";

}  // namespace

std::vector<std::vector<Output>> Predictor::Predict(std::span<const std::string>, const PredictRequest&, std::vector<std::string>&) {
  FailTask(*this, "predict", kLines);
}
std::vector<Output> Predictor::Score(std::span<const std::string>, std::span<const std::string>, bool, bool) {
  FailTask(*this, "score", kLines);
}
Evaluation Predictor::Evaluate(std::span<const std::string>, std::span<const std::string>, const EvaluateRequest&,
                               std::vector<std::string>&) {
  FailTask(*this, "evaluate", kLines);
}
void Predictor::ExpectContinues(std::string_view part) const {
  if (!continues()) FailTask(*this, part, kText);
}
Output Predictor::Generate(const GenerateRequest&, const std::function<void(std::string_view)>&) { FailTask(*this, "generate", kText); }
std::vector<metrics::Metric> Predictor::EvaluateText(std::string_view) { FailTask(*this, "evaluate", kText); }

}  // namespace attend::tasks
