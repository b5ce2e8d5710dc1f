#include "attend/base/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>

#include "attend/base/error.h"

namespace attend {
namespace {

using testing::HasSubstr;

class File : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "attend-base-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  size_t Files() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder_), std::filesystem::directory_iterator()));
  }
  Path folder_;
};

TEST_F(File, WrittenWholeOrNotAtAll) {
  const Path path = folder_ / "a";
  WriteFile(path, "one");
  {
    AtomicFile unfinished(path);
    unfinished.Write("two, but never committed");
    EXPECT_EQ(ReadFile(path, "test"), "one");
    EXPECT_EQ(Files(), 2u);
  }
  EXPECT_EQ(ReadFile(path, "test"), "one");
  EXPECT_EQ(Files(), 1u);
  AtomicFile next(path);
  next.Write("th");
  next.Write("ree");
  next.Commit();
  EXPECT_EQ(ReadFile(path, "test"), "three");
  EXPECT_EQ(Files(), 1u);
  EXPECT_THROW(WriteFile(folder_ / "none" / "a", "x"), SystemError);
}

TEST_F(File, TemporariesAreRecognised) {
  AtomicFile file(folder_ / "model.safetensors");
  const Path left = std::filesystem::directory_iterator(folder_)->path();
  EXPECT_TRUE(AtomicFile::IsTemporary(left));
  EXPECT_FALSE(AtomicFile::IsTemporary(folder_ / "model.safetensors"));
}

TEST_F(File, MapsAndMoves) {
  WriteFile(folder_ / "a", "some bytes");
  MappedFile first(folder_ / "a", "test");
  const char* where = first.bytes().data();
  MappedFile second = std::move(first);
  EXPECT_EQ(second.bytes(), "some bytes");
  EXPECT_EQ(second.bytes().data(), where);
  WriteFile(folder_ / "empty", "");
  EXPECT_EQ(MappedFile(folder_ / "empty", "test").bytes(), "");
}

TEST_F(File, WhatIsNotAFile) {
  const auto message = [](const Path& path) {
    try {
      MappedFile file(path, "data.train.source");
    } catch (const UserError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_THAT(message(folder_ / "absent"),
              HasSubstr("[data.train.source] expected a file that can be read; found " + (folder_ / "absent").string()));
  EXPECT_THAT(message(folder_), HasSubstr("which is a folder"));
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(message(folder_ / "pipe"), HasSubstr("which is a pipe"));  // and does not wait for a writer
}

TEST_F(File, ReadHasALimit) {
  WriteFile(folder_ / "a", "12345");
  EXPECT_EQ(ReadFile(folder_ / "a", "test", 5), "12345");
  EXPECT_THROW(ReadFile(folder_ / "a", "test", 4), UserError);
}

TEST_F(File, Cut) {
  WriteFile(folder_ / "log", "one\ntwo\nthree\n");
  CutFile(folder_ / "log", 8);
  EXPECT_EQ(ReadFile(folder_ / "log", "test"), "one\ntwo\n");
  CutFile(folder_ / "log", 100);
  EXPECT_EQ(ReadFile(folder_ / "log", "test"), "one\ntwo\n");
  CutFile(folder_ / "absent", 0);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "absent"));
}

TEST_F(File, TemporaryFileHasNoName) {
  const Descriptor file = TemporaryFile(folder_);
  EXPECT_EQ(Files(), 0u);
  WriteAt(file, "cd", 2, "test");
  WriteAt(file, "ab", 0, "test");
  EXPECT_EQ(MappedFile(file, 4).bytes(), "abcd");
}

// Not even for a moment: a process that is killed meanwhile would leave it.
TEST_F(File, TemporaryFileNeverHasAName) {
  const Descriptor probe(open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (probe.get() < 0) GTEST_SKIP() << "a file system without files that have no name";
  const Descriptor watch(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  ASSERT_GE(watch.get(), 0);
  ASSERT_GE(inotify_add_watch(watch.get(), folder_.c_str(), IN_CREATE), 0);
  const Descriptor file = TemporaryFile(folder_);
  std::array<char, 4096> events;
  EXPECT_EQ(read(watch.get(), events.data(), events.size()), -1);
  EXPECT_EQ(errno, EAGAIN);
  const Descriptor named(open((folder_ / "named").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  EXPECT_GT(read(watch.get(), events.data(), events.size()), 0);  // the watch sees
}

TEST_F(File, LockExcludes) {
  {
    const FileLock lock(folder_ / "lock", "out", "a free folder");
    EXPECT_THROW(FileLock(folder_ / "lock", "out", "a free folder"), UserError);
  }
  EXPECT_NO_THROW(FileLock(folder_ / "lock", "out", "a free folder"));
}

}  // namespace
}  // namespace attend
