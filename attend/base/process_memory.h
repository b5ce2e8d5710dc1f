#pragma once

#include <cstdint>
#include <fstream>
#include <string>

namespace attend {

// Bytes of memory of this process that no file holds, as Linux counts them; 0 where that is not known.
inline int64_t ProcessMemory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:")) return std::stoll(line.substr(8)) * 1024;
  return 0;
}

}  // namespace attend
