#include "attend/tasks/options.h"

#include <variant>

#include "attend/config/options.h"

namespace attend::tasks {

namespace {

bool HasTransformer(const models::ModelOptions& model) {
  return std::holds_alternative<nn::TransformerEncoderOptions>(model.encoder) ||
         std::holds_alternative<nn::TransformerDecoderOptions>(model.decoder);
}

}  // namespace

RunOptions DefaultsOf(Task task, bool transformer) {
  RunOptions out;
  out.task = task;
  if (task == Task::translate && transformer) {
    out.train.batch_tokens = 2000;
    out.train.learning_rate = 0.001;
    out.train.warmup = 400;
  }
  if (task == Task::language_model) {
    out.text.collapse_spaces = false;
    out.model.encoder = models::NoEncoderOptions{};
    out.model.decoder = nn::TransformerDecoderOptions{};
    out.train.batch_tokens = 2048;
    out.train.learning_rate = 0.001;
    out.train.weight_decay = 0.1;
    out.train.schedule = train::Schedule::cosine;
    out.train.label_smoothing = 0;
    out.train.metric = metrics::MetricKind::perplexity;
  }
  return out;
}

RunOptions ReadRunOptions(const config::Source& source) {
  const std::string init = source.Peek("train.init").value_or(""), task = source.Peek("task").value_or("");
  const Task named = ChoiceNamed<Task>(task).value_or(RunOptions{}.task);  // a wrong name is refused below
  RunOptions options = DefaultsOf(named, false);
  if (!init.empty()) {
    const data::ModelDirectory directory{Path(init)};
    directory.ExpectModel("train.init");
    const RunOptions first = ReadConfig(directory);
    options.text = first.text;
    options.model = first.model;
  }
  RunOptions found = config::Read(source, options);
  if (!HasTransformer(found.model)) return found;
  options.train = DefaultsOf(named, true).train;
  return config::Read(source, std::move(options));
}

RunOptions ReadConfig(const data::ModelDirectory& directory) {
  return config::Read<RunOptions>(config::Source::FromFile(directory.config().string()));
}

std::string List(const std::vector<config::Difference>& differences) {
  std::string out;
  for (const config::Difference& d : differences) out += (out.empty() ? "" : ", ") + d.path + " " + d.a + " -> " + d.b;
  return out;
}

}  // namespace attend::tasks
