#pragma once

#include <functional>
#include <memory>
#include <string>

#include "attend/models/sequence_model.h"
#include "attend/models/workers.h"
#include "attend/tasks/options.h"
#include "attend/tasks/run_folder.h"
#include "attend/tasks/runtime.h"
#include "attend/text/tokenizers.h"
#include "attend/train/progress.h"
#include "attend/train/trainer.h"

// What the tasks' training and loading have in common.
namespace attend::tasks {

using train::Seconds;
int Threads(const Machine& machine);
at::Device DeviceOf(const Machine& machine);  // UserError

// The tokenizers of a run: those in the folder when it goes on, those of train.init, or what `learn` learns, saved to the folder.
text::Tokenizers PrepareTokenizers(const RunOptions& options, const RunFolder& folder, train::Progress& progress,
                                   const std::function<text::TrainedPair()>& learn);

// The model of a run with its first weights: drawn, or those of train.init. Says how large it is.
std::shared_ptr<models::SequenceModel> BeginModel(const RunOptions& options, const RunFolder& folder, const text::Tokenizers& tokenizers,
                                                  models::Workers& workers, train::Progress& progress);

// What a published model says of itself.
data::Metadata MetadataOf(const RunOptions& options);

// Says how a run ended; true when it finished. started: Seconds() at its beginning.
bool Conclude(const train::RunResult& result, const RunOptions& options, const std::string& out, double started, train::Progress& progress);

// A model directory opened for use.
struct LoadedModel {
  RunOptions options;
  text::Tokenizers tokenizers;
  std::shared_ptr<models::SequenceModel> model;
};
// Sets torch's threads and chooses the matrix products of this CPU. UserError: not a model directory.
LoadedModel LoadModel(const std::string& directory, const Machine& machine);

}  // namespace attend::tasks
