#include "attend/data/model_directory.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <system_error>
#include <vector>

#include "attend/base/error.h"

namespace attend::data {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kModel = "model.safetensors", kLatest = "latest", kFinished = "finished", kUnsaved = ".unsaved-";

std::optional<int64_t> ParseStep(std::string_view text) {
  int64_t step = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), step);
  if (error != std::errc() || end != text.data() + text.size() || step < 0) return std::nullopt;
  return step;
}

std::vector<Path> Entries(const Path& folder) {
  std::vector<Path> out;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) out.push_back(it->path());
  return out;
}

bool Exists(const Path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// Best effort: what cannot be removed now is removed by the next Prune or Recover.
void Remove(const Path& path) {
  std::error_code error;
  fs::remove_all(path, error);
}

[[noreturn]] void Fail(const std::string& what, const Path& path, const std::error_code& error) {
  throw SystemError("[out] cannot " + what + " " + path.string() + ": " + error.message());
}

void SyncTree(const Path& folder) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) Sync(it->path());
  if (error) Fail("read", folder, error);
  Sync(folder);
}

// Gives `from` a second name, or, where the file system has no links, a copy.
void Publish(const Path& from, const Path& to) {
  std::error_code error;
  if (fs::equivalent(from, to, error)) return;
  const Path link = to.string() + "." + std::to_string(getpid()) + std::string(AtomicFile::kSuffix);
  fs::create_hard_link(from, link, error);
  if (error) {
    const MappedFile file(from, "out");
    AtomicFile copy(to);
    copy.Write(file.bytes());
    copy.Commit();
    return;
  }
  fs::rename(link, to, error);
  if (error) {
    Remove(link);
    Fail("create", to, error);
  }
  Sync(to.parent_path());
}

}  // namespace

DirectoryState ModelDirectory::State() const {
  std::error_code error;
  if (!fs::exists(root_, error)) return DirectoryState::absent;
  if (!fs::is_directory(root_, error)) return DirectoryState::foreign;
  if (!Exists(config())) {
    for (const Path& entry : Entries(root_)) {
      const bool own = entry == lock() || AtomicFile::IsTemporary(entry) || (entry == training() && Entries(entry).empty());
      if (!own) return DirectoryState::foreign;
    }
    return DirectoryState::absent;
  }
  if (Exists(training())) return Exists(training() / kFinished) ? DirectoryState::finished : DirectoryState::unfinished;
  return Exists(model()) ? DirectoryState::finished : DirectoryState::foreign;
}

void ModelDirectory::ExpectModel(std::string_view part) const {
  std::error_code error;
  if (!fs::is_directory(root_, error)) {
    throw UserError(part, "a model directory", root_.string() + (Exists(root_) ? ", which is not a folder" : ", which does not exist"));
  }
  if (!Exists(config())) throw UserError(part, "a model directory", root_.string() + ", which holds no config.yaml");
  if (!Exists(model())) throw UserError(part, "a trained model", root_.string() + ", whose training has not saved a model yet");
}

void ModelDirectory::Create() const {
  std::error_code error;
  fs::create_directories(training(), error);
  if (error) throw UserError("out", "a folder that can be written", root_.string() + ": " + error.message());
  if (access(root_.c_str(), W_OK | X_OK) != 0) throw UserError("out", "a folder that can be written", root_.string());
}

FileLock ModelDirectory::Lock() const { return FileLock(lock(), "out", "a model directory that no other training is writing"); }

void ModelDirectory::Clear() const {
  Remove(training() / kLatest);  // first: without it nothing refers to what goes next
  for (const Path& entry : Entries(root_)) {
    const std::string name = entry.filename().string();
    const bool own = entry == model() || entry == log() || entry == training() || name.ends_with("tokenizer.json") ||
                     name.starts_with("events.") || AtomicFile::IsTemporary(entry);
    if (own) Remove(entry);
  }
  Remove(config());  // last: what is left when this is interrupted still says that it is a model directory
  Create();
}

void ModelDirectory::SaveState(int64_t step, const std::function<void(const Path& folder)>& write) const {
  if (LatestStep() == step) return;
  const Path unsaved = training() / (std::string(kUnsaved) + std::to_string(step)), folder = StateFolder(step);
  Remove(unsaved);
  Remove(folder);  // renamed by a run that was killed before it was the latest
  std::error_code error;
  bool named = false;
  try {
    fs::create_directory(unsaved, error);
    if (error) Fail("create", unsaved, error);
    write(unsaved);
    SyncTree(unsaved);
    fs::rename(unsaved, folder, error);
    if (error) Fail("create", folder, error);
    Sync(training());
    named = true;
    WriteFile(training() / kLatest, std::to_string(step) + "\n");
  } catch (...) {
    Remove(unsaved);
    if (!named) Remove(folder);  // else training/latest may name it already; if not, Recover removes it
    throw;
  }
  PublishModel(step);
  Prune(step);
}

std::optional<int64_t> ModelDirectory::LatestStep() const {
  const Path latest = training() / kLatest;
  if (!Exists(latest)) return std::nullopt;
  std::string text = ReadFile(latest, "out", 64);
  if (text.ends_with('\n')) text.pop_back();
  const std::optional<int64_t> step = ParseStep(text);
  if (!step || !Exists(StateFolder(*step)))
    throw UserError("out", "the step of a training state in " + latest.string(), "\"" + text + "\"");
  return step;
}

std::optional<int64_t> ModelDirectory::Recover() const {
  const std::optional<int64_t> step = LatestStep();
  Prune(step);
  for (const Path& entry : Entries(root_))
    if (AtomicFile::IsTemporary(entry)) Remove(entry);
  if (step) PublishModel(*step);
  return step;
}

void ModelDirectory::MarkFinished() const { WriteFile(training() / kFinished, ""); }
void ModelDirectory::MarkUnfinished() const {
  std::error_code error;
  fs::remove(training() / kFinished, error);
  if (error) Fail("remove", training() / kFinished, error);
  Sync(training());
}

void ModelDirectory::PublishModel(int64_t step) const {
  const Path best = StateFolder(step) / kModel;
  if (Exists(best)) Publish(best, model());
}

void ModelDirectory::Prune(std::optional<int64_t> keep) const {
  for (const Path& entry : Entries(training())) {
    const std::string name = entry.filename().string();
    const std::optional<int64_t> step = ParseStep(name);
    if ((step && step != keep) || name.starts_with(kUnsaved) || AtomicFile::IsTemporary(entry)) Remove(entry);
  }
}

}  // namespace attend::data
