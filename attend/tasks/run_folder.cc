#include "attend/tasks/run_folder.h"

#include <algorithm>
#include <exception>

#include "attend/config/options.h"
#include "attend/tasks/fingerprint.h"

namespace attend::tasks {
namespace {

namespace fs = std::filesystem;

// May this option change when a run is extended?
bool Extends(const std::string& path) {
  static constexpr std::string_view kLimits[] = {"train.epochs", "train.steps", "train.minutes", "train.patience"};
  return std::find(std::begin(kLimits), std::end(kLimits), path) != std::end(kLimits);
}

Path FilesIn(const data::ModelDirectory& directory) { return directory.training() / "data.json"; }

std::vector<Path> Missing(Path folder) {
  std::vector<Path> out;
  std::error_code error;
  for (folder = fs::absolute(folder, error).lexically_normal(); !folder.empty() && !fs::exists(folder, error);
       folder = folder.parent_path())
    if (folder.has_filename()) out.insert(out.begin(), folder);
  return out;
}

}  // namespace

RunFolder::RunFolder(const TrainRequest& request, const RunOptions& options)
    : request_(request), options_(options), directory_(Path(request.out)) {
  std::error_code error;
  if (!options.train.init.empty() && fs::equivalent(options.train.init, request.out, error))
    throw UserError("train.init", "another folder than --out", options.train.init);
  const data::DirectoryState state = directory_.State();
  if (state == data::DirectoryState::foreign)
    throw UserError("out", "a new folder or a model directory", request.out + ", which is neither");
  if (state == data::DirectoryState::absent || request.restart) return;
  const bool finished = state == data::DirectoryState::finished, saved = directory_.LatestStep().has_value();
  if (!finished && !saved) return;  // nothing to lose
  const auto differences = config::Differences(ReadConfig(directory_), options);
  if (finished && !request.extend)
    throw UserError("out", "a new folder, or --restart to train anew or --extend to go on under larger limits",
                    request.out + ", a finished run" + (differences.empty() ? "" : " with other options: " + List(differences)));
  if (!saved) throw UserError("out", "a run with a training state to extend, or --restart", request.out + ", a model without one");
  std::vector<config::Difference> other;
  for (const auto& d : differences)
    if (!request.extend || !Extends(d.path)) other.push_back(d);
  if (!other.empty())
    throw UserError("out", "the options that the run in " + request.out + " began with, or --restart", "other ones: " + List(other));
}

void RunFolder::Open(const std::string& files) {
  made_ = Missing(directory_.root());
  try {
    directory_.Create();
    lock_.emplace(directory_.Lock());
    Begin(files);
  } catch (...) {
    RemoveOwn();
    throw;
  }
}

void RunFolder::Begin(const std::string& files) {
  std::error_code error;
  resuming_ = !request_.restart && directory_.LatestStep().has_value();
  if (resuming_ && fs::exists(FilesIn(directory_), error)) ExpectSameFiles(ReadFile(FilesIn(directory_), "out"), files, request_.out);
  if (!resuming_) {
    fresh_ = true;
    directory_.Clear();
  }
  WriteFile(directory_.config(), config::ToYaml(options_));
  WriteFile(FilesIn(directory_), files);
  if (request_.extend) directory_.MarkUnfinished();
}

RunFolder::~RunFolder() {
  if (std::uncaught_exceptions() == 0 || !fresh_) return;
  try {
    if (!directory_.LatestStep()) RemoveOwn();
  } catch (const std::exception&) {
    // The failure that is under way is the one to tell of.
  }
}

void RunFolder::RemoveOwn() {
  std::error_code error;
  if (fresh_) {
    directory_.Clear();
    fs::remove(directory_.training(), error);
    fs::remove(directory_.lock(), error);
  }
  for (auto folder = made_.rbegin(); folder != made_.rend(); ++folder) fs::remove(*folder, error);  // if empty
  fresh_ = false;
}

}  // namespace attend::tasks
