#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "attend/base/file.h"
#include "attend/data/model_directory.h"
#include "attend/tasks/options.h"
#include "attend/tasks/runtime.h"

namespace attend::tasks {

// The model directory of one training, from the look at what lies there to the end of the run.
class RunFolder {
 public:
  // UserError unless training may begin or go on at request.out. Writes nothing.
  RunFolder(const TrainRequest& request, const RunOptions& options);
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;
  // A run that fails before its first training state leaves nothing behind.
  ~RunFolder();

  // Makes the folder, locks it, removes what a run left that is not to be resumed, writes config.yaml and `files`, the fingerprint of the
  // training files. UserError: locked by another training, not writable, or the files are not those that the run began with.
  void Open(const std::string& files);

  const data::ModelDirectory& directory() const { return directory_; }
  bool resuming() const { return resuming_; }  // from Open on: there is a training state

 private:
  void Begin(const std::string& files);
  void RemoveOwn();

  const TrainRequest& request_;
  const RunOptions& options_;
  data::ModelDirectory directory_;
  std::optional<FileLock> lock_;
  std::vector<Path> made_;  // folders that were not there, the outermost first
  bool fresh_ = false;      // this run began here: what lies in the folder is its own
  bool resuming_ = false;
};

}  // namespace attend::tasks
