#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "attend/base/enum.h"
#include "attend/config/options.h"
#include "attend/data/model_directory.h"
#include "attend/data/options.h"
#include "attend/models/options.h"
#include "attend/search/options.h"
#include "attend/text/options.h"
#include "attend/train/options.h"

namespace attend::tasks {

enum class Task {
#define ATTEND_TASK(name, help) name,
#include "attend/tasks/tasks.def"
#undef ATTEND_TASK
};
inline std::span<const Choice> Choices(Task) {
  static constexpr Choice kChoices[] = {
#define ATTEND_TASK(name, help) {#name, static_cast<int>(Task::name), help},
#include "attend/tasks/tasks.def"
#undef ATTEND_TASK
  };
  return kChoices;
}

// The version of what stands in a model directory. Raised when an older program could not read it.
inline constexpr int64_t kFormat = 1;

// Everything that config.yaml says.
struct RunOptions {
  int64_t format = kFormat;
  Task task = Task::translate;
  data::DataOptions data;
  text::TextOptions text;
  models::ModelOptions model;
  train::TrainOptions train;
  search::SearchOptions search;

  template <class F>
  static void Declare(F& field) {
    field("format", &RunOptions::format, "version of the model directory").Range(kFormat, kFormat);
    field("task", &RunOptions::task, "what the model is trained for");
    field("data", &RunOptions::data, "the texts");
    field("text", &RunOptions::text, "how text becomes tokens");
    field("model", &RunOptions::model, "the shape of the model");
    field("train", &RunOptions::train, "how it is trained");
    field("search", &RunOptions::search, "how outputs are found");
  }
};

// What a run of this task has where nothing is said; transformer: of a model with one on either side.
RunOptions DefaultsOf(Task task, bool transformer);

// The options of a run. One that starts from another model (train.init) has that model's shape and text processing unless the source
// says otherwise. UserError.
RunOptions ReadRunOptions(const config::Source& source);

// The options in a model directory's config.yaml. UserError: not a configuration, or of another version.
RunOptions ReadConfig(const data::ModelDirectory& directory);

// "train.epochs 3 -> 5, ...": for messages.
std::string List(const std::vector<config::Difference>& differences);

}  // namespace attend::tasks
