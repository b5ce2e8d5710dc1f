#include "attend/tasks/run.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <thread>

#include "attend/tasks/matmul.h"
#include "attend/tasks/model_files.h"
#include "attend/train/weights.h"

namespace attend::tasks {
namespace {

// The model that a run starts from brings its tokenizer along.
void ExpectTextOf(const RunOptions& options) {
  auto first = ReadConfig(data::ModelDirectory(options.train.init)).text;
  first.regularisation = options.text.regularisation;
  const auto differences = config::Differences(first, options.text);
  if (!differences.empty())
    throw UserError("text", "the text processing of train.init, " + options.train.init, "another: " + List(differences));
}

}  // namespace

int Threads(const Machine& machine) {
  return machine.threads > 0 ? machine.threads : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

at::Device DeviceOf(const Machine& machine) {
  if (machine.device != "cpu") throw UserError("device", "cpu", machine.device);
  return at::kCPU;
}

text::Tokenizers PrepareTokenizers(const RunOptions& options, const RunFolder& folder, train::Progress& progress,
                                   const std::function<text::TrainedPair()>& learn) {
  const std::string root = folder.directory().root().string();
  if (folder.resuming()) return text::LoadTokenizers(root);
  if (!options.train.init.empty()) {
    ExpectTextOf(options);
    text::Tokenizers tokenizers = text::LoadTokenizers(options.train.init);
    text::SaveTokenizers(tokenizers, root);
    progress.Note("tokenizers: those of " + options.train.init);
    return tokenizers;
  }
  const double start = Seconds();
  text::TrainedPair trained = learn();
  for (const std::string& note : trained.notes) progress.Note("tokenizer: " + note);
  const text::Tokenizers& t = trained.tokenizers;
  text::SaveTokenizers(t, root);
  progress.Note("tokenizer: " + std::string(Name(options.text.tokenizer)) + ", " +
                (t.shared() ? std::to_string(t.source->size()) + " pieces, shared"
                            : std::to_string(t.source->size()) + " source and " + std::to_string(t.target->size()) + " target pieces") +
                ", learned in " + train::Duration(Seconds() - start));
  return t;
}

std::shared_ptr<models::SequenceModel> BeginModel(const RunOptions& options, const RunFolder& folder, const text::Tokenizers& tokenizers,
                                                  models::Workers& workers, train::Progress& progress) {
  auto model = MakeModel(options, tokenizers);
  // On one worker: the factorisations in it would sum in another order on another number of threads.
  workers.Run(1, [&](int64_t) { nn::Materialise(*model, static_cast<uint64_t>(options.train.seed)); });
  if (!options.train.init.empty() && !folder.resuming())
    train::LoadTensors(data::ModelDirectory(options.train.init).model(), train::Parameters(*model));
  int64_t parameters = 0;
  for (const auto& p : model->parameters()) parameters += p.numel();
  progress.Note("model: " + std::to_string(parameters) + " parameters, on " + std::to_string(workers.count()) +
                (workers.count() == 1 ? " thread" : " threads"));
  return model;
}

data::Metadata MetadataOf(const RunOptions& options) { return {{"producer", "attend"}, {"task", std::string(Name(options.task))}}; }

bool Conclude(const train::RunResult& result, const RunOptions& options, const std::string& out, double started,
              train::Progress& progress) {
  if (result.ending == train::Ending::interrupted) {
    progress.Note("stopped by " + result.reason + " at step " + std::to_string(result.step) + "; the same command goes on from there");
    return false;
  }
  char best[64];
  std::snprintf(best, sizeof(best), "%.2f", result.best);
  progress.Note("finished after " + result.reason + ", " + std::to_string(result.step) + " steps, " + train::Duration(Seconds() - started) +
                "; best " + std::string(Name(options.train.metric)) + " " + best + "; the model lies in " + out);
  return true;
}

LoadedModel LoadModel(const std::string& directory, const Machine& machine) {
  const data::ModelDirectory folder{Path(directory)};
  LoadedModel out;
  out.options = ReadConfig(folder);
  out.tokenizers = text::LoadTokenizers(directory);
  out.model = MakeModel(out.options, out.tokenizers);
  train::LoadTensors(folder.model(), train::Parameters(*out.model));
  out.model->eval();
  at::set_num_threads(Threads(machine));
  ChooseMatrixProducts();
  return out;
}

}  // namespace attend::tasks
