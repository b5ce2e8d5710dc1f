#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "attend/base/file.h"

namespace attend::data {

// What lies at a path.
enum class DirectoryState {
  absent,      // nothing, or an empty folder
  foreign,     // something that is not a model directory
  unfinished,  // a run that was interrupted, or is still going on
  finished,    // a trained model
};

// The folder of one model and its training:
//   config.yaml  model.safetensors  tokenizer files  log.jsonl  events (TensorBoard)  training/<step>/  training/latest  training/finished
//
// A training state is a folder training/<step>, written under another name, fsynced and renamed; then the file training/latest, which
// holds the step, is replaced; then model.safetensors is published from the state's copy. A kill at any instant leaves the previous state
// or the new one. One process at a time writes (Lock); anybody may read.
class ModelDirectory {
 public:
  explicit ModelDirectory(Path root) : root_(std::move(root)) {}

  const Path& root() const { return root_; }
  Path config() const { return root_ / "config.yaml"; }
  Path model() const { return root_ / "model.safetensors"; }
  Path log() const { return root_ / "log.jsonl"; }
  Path lock() const { return root_ / ".lock"; }
  Path training() const { return root_ / "training"; }
  Path StateFolder(int64_t step) const { return training() / std::to_string(step); }

  DirectoryState State() const;
  // UserError unless a trained model (or the best of an unfinished run) can be read here. `part`: "model".
  void ExpectModel(std::string_view part) const;

  // Makes the folder, parents included. UserError when that is not possible or it is not writable.
  void Create() const;
  // Held while training. UserError when another training holds it.
  FileLock Lock() const;
  // Removes what a training wrote - config, model, tokenizer files, log, events, training states - and nothing else.
  void Clear() const;

  // Writes the state of `step`: `write` puts files into the folder it is given. Afterwards LatestStep() is `step`, the state's
  // "model.safetensors", when there is one, is the published model, and other states are gone.
  // SystemError (disk full) or whatever `write` throws: the previous state and model are untouched, nothing half-written stays.
  void SaveState(int64_t step, const std::function<void(const Path& folder)>& write) const;
  std::optional<int64_t> LatestStep() const;  // UserError when training/latest or the folder it names is damaged

  // Before resuming: removes what a kill left half-written, publishes the latest state's model again where it differs from the
  // published one. The latest step, if any.
  std::optional<int64_t> Recover() const;

  void MarkFinished() const;
  void MarkUnfinished() const;  // to extend a finished run

 private:
  void PublishModel(int64_t step) const;
  void Prune(std::optional<int64_t> keep) const;
  Path root_;
};

}  // namespace attend::data
