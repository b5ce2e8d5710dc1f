#include "attend/data/cache.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdlib>
#include <memory>
#include <system_error>
#include <vector>

#include "attend/base/error.h"
#include "attend/base/hash.h"

namespace attend::data {
namespace {

namespace fs = std::filesystem;

bool Usable(const Path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  return !error && access(folder.c_str(), W_OK | X_OK) == 0;
}

struct CloseGzip {
  void operator()(gzFile_s* file) const { gzclose_r(file); }
};

void UnpackTo(AtomicFile& out, const Path& path, std::string_view part) {
  const std::unique_ptr<gzFile_s, CloseGzip> in(gzopen(path.c_str(), "rb"));
  if (!in) throw UserError(part, "a file that can be read", path.string());
  gzbuffer(in.get(), 1 << 18);
  std::vector<char> buffer(1 << 20);
  while (true) {
    const int n = gzread(in.get(), buffer.data(), static_cast<unsigned>(buffer.size()));
    int code = Z_OK;
    gzerror(in.get(), &code);
    if (n < 0 || (code != Z_OK && code != Z_STREAM_END)) {
      throw UserError(part, "a whole gzip file", path.string() + ", which is damaged or truncated");
    }
    if (n == 0) return;
    out.Write({buffer.data(), static_cast<size_t>(n)});
  }
}

}  // namespace

Path CacheFolder(const std::string& chosen) {
  std::vector<Path> candidates;
  if (!chosen.empty()) {
    candidates.emplace_back(chosen);
  } else {
    const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
    if (cache && *cache) candidates.push_back(Path(cache) / "attend");
    if (home && *home) candidates.push_back(Path(home) / ".cache" / "attend");
    std::error_code error;
    candidates.push_back(fs::temp_directory_path(error) / ("attend-" + std::to_string(getuid())));
  }
  for (const Path& folder : candidates)
    if (Usable(folder)) return folder;
  throw SystemError("[data.cache] expected a folder that can be written; found " + candidates.front().string());
}

bool IsGzip(std::string_view bytes) { return bytes.starts_with("\x1f\x8b"); }

Path Unpack(const Path& path, const Path& cache, std::string_view part) {
  std::error_code error;
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) throw UserError(part, "a file that can be read", path.string());
  const std::string owner = Hex(Hash(fs::canonical(path, error).string())) + "-";
  const std::string state =
      std::to_string(status.st_size) + ":" + std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec);
  Path unpacked = cache / (owner + Hex(Hash(state)) + ".txt");
  if (fs::exists(unpacked, error)) return unpacked;

  AtomicFile out(unpacked);
  UnpackTo(out, path, part);
  out.Commit();
  for (const fs::directory_entry& other : fs::directory_iterator(cache, error)) {
    const std::string name = other.path().filename().string();
    if (name.starts_with(owner) && other.path() != unpacked && !AtomicFile::IsTemporary(other.path())) fs::remove(other.path(), error);
  }
  return unpacked;
}

}  // namespace attend::data
