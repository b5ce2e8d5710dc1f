#pragma once

#include <string>
#include <string_view>

#include "attend/base/file.h"

namespace attend::data {

// The folder for what is derived from the user's files, made when absent: `chosen`, or, when that is empty, `attend` in the user's cache
// folder ($XDG_CACHE_HOME, ~/.cache) or, where that cannot be written, in the system's temporary folder. SystemError.
Path CacheFolder(const std::string& chosen);

// Whether the file starts with gzip's two magic bytes, whatever its name.
bool IsGzip(std::string_view bytes);

// The unpacked copy of a gzip file in `cache`, made once for each (path, size, time of change); copies of an older state are removed.
// UserError naming `part`: a damaged or truncated file. SystemError: disk full.
Path Unpack(const Path& path, const Path& cache, std::string_view part);

}  // namespace attend::data
