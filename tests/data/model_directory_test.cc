#include "attend/data/model_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <set>
#include <stdexcept>
#include <vector>

#include "attend/base/error.h"
#include "attend/data/safetensors.h"
#include "tests/data/files.h"

namespace attend::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

// A state whose every byte tells its step.
void WriteState(const Path& folder, int64_t step, size_t size = 1000) {
  const std::string bytes(size, static_cast<char>('a' + step % 26));
  for (const char* name : {"model.safetensors", "optimiser.safetensors"}) {
    WriteSafetensors(folder / name, {{"w", {TensorType::u8, {static_cast<int64_t>(size)}, bytes}}}, {{"step", std::to_string(step)}});
  }
}

std::string StepOf(const Path& file) {
  const Safetensors tensors(file);
  tensors.Verify();
  return tensors.metadata().at("step");
}

std::set<std::string> Names(const Path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

class Directory : public testing::Test {
 protected:
  void Save(int64_t step) const {
    directory_.SaveState(step, [&](const Path& folder) { WriteState(folder, step); });
  }
  void Begin() const {
    directory_.Create();
    WriteFile(directory_.config(), "format: 1\n");
  }
  Folder folder_;
  ModelDirectory directory_{folder_.path() / "deep" / "model"};
};

TEST_F(Directory, States) {
  EXPECT_EQ(directory_.State(), DirectoryState::absent);
  directory_.Create();
  EXPECT_EQ(directory_.State(), DirectoryState::absent);
  {
    const FileLock lock = directory_.Lock();
    EXPECT_EQ(directory_.State(), DirectoryState::absent);
  }
  WriteFile(directory_.config(), "format: 1\n");
  EXPECT_EQ(directory_.State(), DirectoryState::unfinished);
  Save(10);
  EXPECT_EQ(directory_.State(), DirectoryState::unfinished);
  directory_.MarkFinished();
  EXPECT_EQ(directory_.State(), DirectoryState::finished);
  directory_.MarkUnfinished();
  EXPECT_EQ(directory_.State(), DirectoryState::unfinished);
  fs::remove_all(directory_.training());
  EXPECT_EQ(directory_.State(), DirectoryState::finished);  // a model that was copied without its training

  EXPECT_EQ(ModelDirectory(folder_.path()).State(), DirectoryState::foreign);
  EXPECT_EQ(ModelDirectory(folder_.Write("file", "x")).State(), DirectoryState::foreign);
}

TEST_F(Directory, ExpectModel) {
  const auto message = [](const Path& path) { return Message<UserError>([&] { ModelDirectory(path).ExpectModel("model"); }); };
  EXPECT_EQ(message(folder_ / "absent"), "[model] expected a model directory; found " + (folder_ / "absent") + ", which does not exist");
  EXPECT_THAT(message(folder_.Write("file", "x")), HasSubstr("which is not a folder"));
  EXPECT_THAT(message(folder_.path()), HasSubstr("which holds no config.yaml"));
  Begin();
  EXPECT_THAT(message(directory_.root()), HasSubstr("whose training has not saved a model yet"));
  Save(1);
  EXPECT_EQ(message(directory_.root()), "");
}

TEST_F(Directory, StatesFollowEachOther) {
  Begin();
  EXPECT_EQ(directory_.LatestStep(), std::nullopt);
  for (int64_t step : {5, 10, 15}) {
    Save(step);
    EXPECT_EQ(directory_.LatestStep(), step);
    EXPECT_EQ(StepOf(directory_.model()), std::to_string(step));
    EXPECT_THAT(Names(directory_.training()), ElementsAre(std::to_string(step), "latest"));
    EXPECT_THAT(Names(directory_.root()), ElementsAre("config.yaml", "model.safetensors", "training"));
  }
  directory_.SaveState(15, [](const Path&) { FAIL() << "this step is saved already"; });
}

TEST_F(Directory, WhatWritingThrowsLeavesThePreviousState) {
  Begin();
  Save(5);
  EXPECT_THROW(directory_.SaveState(6,
                                    [](const Path& folder) {
                                      WriteState(folder, 6);
                                      throw std::runtime_error("stop");
                                    }),
               std::runtime_error);
  EXPECT_EQ(directory_.LatestStep(), 5);
  EXPECT_EQ(StepOf(directory_.model()), "5");
  EXPECT_THAT(Names(directory_.training()), ElementsAre("5", "latest"));
}

TEST_F(Directory, RecoverPublishesAndCleans) {
  Begin();
  Save(5);
  // As after a kill between the pointer and the publication, with leftovers of other moments.
  WriteState(directory_.root(), 4);
  fs::remove(directory_.root() / "optimiser.safetensors");
  fs::create_directory(directory_.training() / ".unsaved-6");
  fs::create_directory(directory_.StateFolder(6));
  WriteFile(directory_.root() / "model.safetensors.12-0.attend-tmp", "x");
  WriteFile(directory_.training() / "latest.12-0.attend-tmp", "x");
  EXPECT_EQ(StepOf(directory_.model()), "4");
  EXPECT_EQ(directory_.Recover(), 5);
  EXPECT_EQ(StepOf(directory_.model()), "5");
  EXPECT_THAT(Names(directory_.training()), ElementsAre("5", "latest"));
  EXPECT_THAT(Names(directory_.root()), ElementsAre("config.yaml", "model.safetensors", "training"));
  EXPECT_EQ(directory_.Recover(), 5);
}

TEST_F(Directory, DamagedPointer) {
  Begin();
  Save(5);
  for (const char* text : {"6\n", "-5\n", "five", "5 6", "", "99999999999999999999"}) {
    WriteFile(directory_.training() / "latest", text);
    EXPECT_THAT(Message<UserError>([&] { directory_.LatestStep(); }), HasSubstr("expected the step of a training state")) << text;
  }
}

TEST_F(Directory, OneTrainingAtATime) {
  Begin();
  const FileLock lock = directory_.Lock();
  EXPECT_THAT(Message<UserError>([&] { directory_.Lock(); }),
              HasSubstr("[out] expected a model directory that no other training is writing"));
}

TEST_F(Directory, ClearKeepsWhatIsNotOurs) {
  Begin();
  Save(5);
  for (const char* name : {"tokenizer.json", "source.tokenizer.json", "log.jsonl", "events.out.tfevents.1", "notes.txt"})
    WriteFile(directory_.root() / name, "x");
  directory_.Clear();
  EXPECT_THAT(Names(directory_.root()), ElementsAre("notes.txt", "training"));
  EXPECT_TRUE(fs::is_empty(directory_.training()));
}

TEST_F(Directory, CannotBeMade) {
  const std::string file = folder_.Write("file", "x");
  EXPECT_THAT(Message<UserError>([&] { ModelDirectory(file + "/model").Create(); }),
              HasSubstr("[out] expected a folder that can be written; found " + file));
}

// A process that saves without end is killed at random moments; what it leaves always loads, and never goes back.
TEST_F(Directory, KilledAtAnyInstant) {
  Begin();
  int64_t last = 1;
  const auto start = std::chrono::steady_clock::now();
  Save(last);
  const std::chrono::duration<double, std::micro> one_save = std::chrono::steady_clock::now() - start;
  for (int kill_number = 0; kill_number < 25; kill_number++) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (int64_t step = last + 1;; step++) Save(step);
    }
    usleep(static_cast<useconds_t>(one_save.count() * (kill_number * 7 % 25) / 6));  // up to four saves
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);

    const std::optional<int64_t> step = directory_.LatestStep();
    ASSERT_TRUE(step.has_value());
    EXPECT_GE(*step, last);
    last = *step;
    EXPECT_EQ(StepOf(directory_.StateFolder(last) / "model.safetensors"), std::to_string(last));
    EXPECT_EQ(StepOf(directory_.StateFolder(last) / "optimiser.safetensors"), std::to_string(last));
    EXPECT_GE(std::stoll(StepOf(directory_.model())), last - 1);
    EXPECT_EQ(directory_.Recover(), last);
    EXPECT_EQ(StepOf(directory_.model()), std::to_string(last));
    EXPECT_THAT(Names(directory_.training()), ElementsAre(std::to_string(last), "latest"));
  }
  EXPECT_GE(last, 5);
}

TEST_F(Directory, DiskFull) {
  const Path disk = folder_.path() / "disk";
  fs::create_directory(disk);
  if (mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=1m") != 0) {
    GTEST_SKIP() << "mounting a small disk needs root: " << std::strerror(errno);
  }
  const ModelDirectory small(disk / "model");
  std::string message;
  std::set<std::string> names;
  std::optional<int64_t> step;
  std::string published;
  try {
    small.Create();
    WriteFile(small.config(), "format: 1\n");
    small.SaveState(1, [](const Path& folder) { WriteState(folder, 1, 100'000); });
    message = Message<SystemError>([&] { small.SaveState(2, [](const Path& folder) { WriteState(folder, 2, 600'000); }); });
    names = Names(small.training());
    step = small.Recover();
    published = StepOf(small.model());
    small.SaveState(3, [](const Path& folder) { WriteState(folder, 3, 100'000); });
  } catch (const std::exception& e) {
    ADD_FAILURE() << e.what();
  }
  EXPECT_EQ(StepOf(small.model()), "3");
  umount(disk.c_str());
  EXPECT_THAT(message, HasSubstr("No space left on device"));
  EXPECT_THAT(names, ElementsAre("1", "latest"));
  EXPECT_EQ(step, 1);
  EXPECT_EQ(published, "1");
}

}  // namespace
}  // namespace attend::data
