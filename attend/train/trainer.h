#pragma once

#include <functional>
#include <memory>
#include <string>

#include "attend/data/model_directory.h"
#include "attend/data/prefetched_stream.h"
#include "attend/data/safetensors.h"
#include "attend/data/stream.h"
#include "attend/models/sequence_model.h"
#include "attend/models/workers.h"
#include "attend/train/options.h"
#include "attend/train/progress.h"
#include "attend/train/weights.h"

namespace attend::train {

// All that the trainer knows of a task.
class Trainable {
 public:
  virtual ~Trainable() = default;
  virtual nn::Module& module() = 0;
  // Thread-safe: workers call it for slices of one batch at the same time.
  virtual models::LossSum Loss(const data::Batch& batch, nn::Context& context) const = 0;
  // With the module's present weights; samples: how many outputs to show.
  virtual Validation Validate(models::Workers& workers, int64_t samples) = 0;
  // What goes into the published model's metadata.
  virtual data::Metadata ModelMetadata() const = 0;
  // What the task carries from batch to batch besides weights: part of the training state, changed by Loss and by resuming.
  virtual NamedTensors State() { return {}; }
};

enum class Ending { finished, interrupted };

struct RunResult {
  Ending ending = Ending::finished;
  std::string reason;  // "30 epochs", "10 minutes", "no improvement in 10 validations", "SIGTERM"
  int64_t step = 0;
  double best = 0;  // of the metric
};

// Opens the endless stream of training batches at a position.
using OpenStream = std::function<std::unique_ptr<data::PrefetchedStream>(data::Position)>;

// Trains until a limit is met or a signal asks to stop; resumes from the directory's latest state when there is one, bit for bit as
// if it had never stopped (limits in minutes excepted). `started`: seconds of the run used before this call (preparation).
// UserError: the loss is not finite or diverges (the last good state is kept). SystemError: disk full.
RunResult Train(Trainable& task, const TrainOptions& options, const data::ModelDirectory& directory, const OpenStream& open,
                models::Workers& workers, Progress& progress, double started);

// Rows k, k + parts, ... of a batch, cut to their own longest row; target_tokens stays the whole batch's.
data::Batch Slice(const data::Batch& batch, int64_t k, int64_t parts);

}  // namespace attend::train
