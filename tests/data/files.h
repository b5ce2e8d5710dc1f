#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "attend/data/options.h"

namespace attend::data {

// A folder that goes with the object; also the cache of what is opened in it.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "attend-data-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }

  const std::filesystem::path& path() const { return path_; }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string Write(const std::string& name, std::string_view bytes) const {
    std::filesystem::remove(path_ / name);  // ext4 flushes a file that is truncated and written again: slow
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return *this / name;
  }
  DataOptions Options() const {
    DataOptions options;
    options.cache = *this / "cache";
    return options;
  }

 private:
  std::filesystem::path path_;
};

inline std::string Slurp(const std::filesystem::path& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

// The message of the E that `run` throws; "" when it throws none.
template <class E, class F>
std::string Message(F run) {
  try {
    run();
  } catch (const E& e) {
    return e.what();
  }
  return "";
}

}  // namespace attend::data
