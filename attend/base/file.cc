#include "attend/base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

#include "attend/base/error.h"

namespace attend {
namespace {

std::string Reason(int error) { return std::generic_category().message(error); }

[[noreturn]] void Fail(std::string_view what, const Path& path) {
  throw SystemError("[file] cannot " + std::string(what) + " " + path.string() + ": " + Reason(errno));
}

Descriptor OpenToRead(const Path& path, std::string_view part, uint64_t* size) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (file.get() < 0 || fstat(file.get(), &status) != 0)
    throw UserError(part, "a file that can be read", path.string() + ": " + Reason(errno));
  if (!S_ISREG(status.st_mode)) {
    throw UserError(part, "a file",
                    path.string() + ", which is " + (S_ISDIR(status.st_mode) ? "a folder" : "a pipe or device: save it as a file"));
  }
  *size = static_cast<uint64_t>(status.st_size);
  return file;
}

void WriteAll(int fd, std::string_view bytes, const Path& path) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) Fail("write", path);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

// Unique among processes by the process id, within one by a count.
Path TemporaryName(const Path& path) {
  static std::atomic<unsigned> count{0};
  Path out = path;
  out += "." + std::to_string(getpid()) + "-" + std::to_string(count++) + std::string(AtomicFile::kSuffix);
  return out;
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = other.Release();
  }
  return *this;
}
Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}
int Descriptor::Release() { return std::exchange(fd_, -1); }

MappedFile::MappedFile(const Path& path, std::string_view part) {
  uint64_t size = 0;
  const Descriptor file = OpenToRead(path, part, &size);
  Map(file.get(), size, path.string());
}
MappedFile::MappedFile(const Descriptor& file, size_t size) { Map(file.get(), size, "a temporary file"); }
MappedFile::MappedFile(MappedFile&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}
MappedFile::~MappedFile() {
  if (data_) munmap(data_, size_);
}

void MappedFile::Map(int fd, size_t size, const std::string& name) {
  if (size == 0) return;  // an empty mapping is an error to mmap
  void* data = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) Fail("map", name);
  data_ = static_cast<char*>(data);
  size_ = size;
}
void MappedFile::ExpectSequential() const {
  if (data_) madvise(data_, size_, MADV_SEQUENTIAL);
}
void MappedFile::ExpectRandom() const {
  if (data_) madvise(data_, size_, MADV_RANDOM);
}

AtomicFile::AtomicFile(Path path) : path_(std::move(path)), temporary_(TemporaryName(path_)) {
  file_ = Descriptor(open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file_.get() < 0) Fail("create", temporary_);
}
AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) unlink(temporary_.c_str());
}
void AtomicFile::Write(std::string_view bytes) { WriteAll(file_.get(), bytes, path_); }
void AtomicFile::Commit() {
  if (fsync(file_.get()) != 0) Fail("write", path_);
  if (close(file_.Release()) != 0) Fail("write", path_);
  if (rename(temporary_.c_str(), path_.c_str()) != 0) Fail("create", path_);
  temporary_.clear();
  Sync(path_.has_parent_path() ? path_.parent_path() : Path("."));
}
bool AtomicFile::IsTemporary(const Path& path) { return path.extension() == kSuffix; }

void WriteFile(const Path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.Write(bytes);
  file.Commit();
}

std::string ReadFile(const Path& path, std::string_view part, size_t limit) {
  uint64_t size = 0;
  const Descriptor file = OpenToRead(path, part, &size);
  if (size > limit)
    throw UserError(part, "a file of at most " + std::to_string(limit) + " bytes", path.string() + " with " + std::to_string(size));
  std::string out(size, '\0');
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = read(file.get(), out.data() + done, out.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) Fail("read", path);
    if (n == 0) break;  // it shrank meanwhile
    done += static_cast<size_t>(n);
  }
  out.resize(done);
  return out;
}

void CutFile(const Path& path, uint64_t size) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return;
    Fail("read", path);
  }
  if (static_cast<uint64_t>(status.st_size) <= size) return;
  if (truncate(path.c_str(), static_cast<off_t>(size)) != 0) Fail("cut", path);
  Sync(path);
}

void Sync(const Path& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) Fail("open", path);
  // Some file systems cannot sync a folder; there the rename is as durable as it gets.
  if (fsync(file.get()) != 0 && errno != EINVAL) Fail("write", path);
}

Descriptor TemporaryFile(const Path& directory) {
#ifdef O_TMPFILE
  // It never has a name, so that a process that is killed here leaves nothing.
  Descriptor unnamed(open(directory.empty() ? "." : directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (unnamed.get() >= 0) return unnamed;
#endif
  // A file system without such files, or an error that the name makes clear.
  const Path name = TemporaryName(directory / "index");
  Descriptor file(open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file.get() < 0) Fail("create", name);
  unlink(name.c_str());
  return file;
}

void WriteAt(const Descriptor& file, std::string_view bytes, uint64_t offset, std::string_view what) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw SystemError("[file] cannot write " + std::string(what) + ": " + Reason(errno));
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
}

FileLock::FileLock(const Path& path, std::string_view part, std::string_view expected)
    : file_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (file_.get() < 0) Fail("create", path);
  if (flock(file_.get(), LOCK_EX | LOCK_NB) == 0) return;
  if (errno == EWOULDBLOCK) throw UserError(part, expected, path.string() + " locked by another process");
  Fail("lock", path);
}

}  // namespace attend
