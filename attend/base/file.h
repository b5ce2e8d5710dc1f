#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace attend {

using Path = std::filesystem::path;

// A file descriptor that closes itself. -1: none.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.Release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  int get() const { return fd_; }
  int Release();

 private:
  int fd_;
};

// A whole file in memory, read-only, paged in on demand; its bytes stay where they are when the object moves.
// The file must not shrink while it is mapped. Thread-safe to read.
class MappedFile {
 public:
  MappedFile() = default;
  // `part` names the option or file kind in errors. UserError: missing, unreadable, or not a regular file.
  MappedFile(const Path& path, std::string_view part);
  MappedFile(const Descriptor& file, size_t size);  // the first `size` bytes; SystemError
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::string_view bytes() const { return {data_, size_}; }
  void ExpectSequential() const;  // read ahead
  void ExpectRandom() const;      // do not

 private:
  void Map(int fd, size_t size, const std::string& name);
  char* data_ = nullptr;
  size_t size_ = 0;
};

// A file that appears under its name whole or not at all: written beside it, fsynced, renamed, its directory fsynced.
// Every failure (disk full) is a SystemError that leaves the old file as it was and no temporary behind. Without Commit nothing happens.
class AtomicFile {
 public:
  explicit AtomicFile(Path path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();
  void Write(std::string_view bytes);
  void Commit();

  // The extension of what is left when the process is killed before Commit.
  static constexpr std::string_view kSuffix = ".attend-tmp";
  static bool IsTemporary(const Path& path);

 private:
  Path path_, temporary_;
  Descriptor file_;
};

// Whole content in one go, atomically. SystemError.
void WriteFile(const Path& path, std::string_view bytes);

// The whole file as a string. UserError naming `part`: missing, not regular, or of more than `limit` bytes.
std::string ReadFile(const Path& path, std::string_view part, size_t limit = size_t{1} << 30);

// Cuts a file back to its first `size` bytes (a log to what it held at a checkpoint); a file that is shorter or absent stays as it is.
// SystemError.
void CutFile(const Path& path, uint64_t size);

// Makes file or directory `path` durable. SystemError.
void Sync(const Path& path);

// A file without a name in `directory`, for data larger than memory should hold; gone when closed. SystemError.
Descriptor TemporaryFile(const Path& directory);

// All of `bytes` at `offset`; SystemError naming `what` (disk full).
void WriteAt(const Descriptor& file, std::string_view bytes, uint64_t offset, std::string_view what);

// An exclusive advisory lock (flock) on a file, made when absent and left there, until destroyed or the process ends.
class FileLock {
 public:
  // UserError(part, expected, ...) when another process holds it.
  FileLock(const Path& path, std::string_view part, std::string_view expected);

 private:
  Descriptor file_;
};

}  // namespace attend
