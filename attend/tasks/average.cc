#include "attend/tasks/average.h"

#include <filesystem>

#include <ATen/core/grad_mode.h>

#include "attend/config/options.h"
#include "attend/data/model_directory.h"
#include "attend/tasks/model_files.h"
#include "attend/tasks/run.h"
#include "attend/train/weights.h"

namespace attend::tasks {
namespace {

// What must be the same for a mean to make sense: training may differ, and what a run read.
RunOptions Comparable(RunOptions options) {
  options.data = {};
  options.train = {};
  options.search = {};
  options.text.regularisation = 0;
  options.text.sample_lines = 1;
  return options;
}

bool SameVocabulary(const text::Tokenizers& a, const text::Tokenizers& b) {
  const auto same = [](const text::Tokenizer& x, const text::Tokenizer& y) {
    return x.kind() == y.kind() && x.vocabulary().pieces == y.vocabulary().pieces && x.vocabulary().scores == y.vocabulary().scores;
  };
  return same(*a.source, *b.source) && same(*a.target, *b.target);
}

}  // namespace

void Average(std::span<const std::string> models, const std::string& out) {
  for (const std::string& model : models) data::ModelDirectory(model).ExpectModel("model");
  const data::ModelDirectory target{Path(out)};
  if (target.State() != data::DirectoryState::absent) throw UserError("out", "a new folder", out + ", which exists");
  const RunOptions options = ReadConfig(data::ModelDirectory(models[0]));
  const text::Tokenizers tokenizers = text::LoadTokenizers(models[0]);
  const auto mean = MakeModel(options, tokenizers), one = MakeModel(options, tokenizers);
  const train::NamedTensors sum = train::Parameters(*mean), part = train::Parameters(*one);
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < models.size(); i++) {
    const data::ModelDirectory directory{Path(models[i])};
    const auto differences = config::Differences(Comparable(options), Comparable(ReadConfig(directory)));
    if (!differences.empty())
      throw UserError("average", "models of the same options as " + models[0], models[i] + " with " + List(differences));
    if (!SameVocabulary(tokenizers, text::LoadTokenizers(models[i])))
      throw UserError("average", "models of the same vocabulary as " + models[0], models[i] + " with another one");
    train::LoadTensors(directory.model(), part);
    for (const auto& [name, t] : sum) i == 0 ? t.detach().copy_(part.at(name)) : t.detach().add_(part.at(name));
  }
  std::string of;
  for (const std::string& m : models) of += (of.empty() ? "" : ", ") + m;
  for (const auto& [name, t] : sum) t.detach().div_(static_cast<double>(models.size()));
  try {
    target.Create();
    WriteFile(target.config(), config::ToYaml(options));
    text::SaveTokenizers(tokenizers, out);
    data::Metadata metadata = MetadataOf(options);
    metadata["average_of"] = of;
    train::SaveTensors(target.model(), sum, metadata);
    target.MarkFinished();
  } catch (...) {
    std::error_code error;
    std::filesystem::remove_all(target.root(), error);
    throw;
  }
}

}  // namespace attend::tasks
