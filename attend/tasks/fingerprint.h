#pragma once

#include <string>

#include "attend/data/options.h"

namespace attend::tasks {

// What the files of a run hold: size and checksum of each, under the option that names it, as JSON. `links`: word links are read too.
// Reads every file once. UserError naming the option: a file that cannot be read.
std::string Fingerprint(const data::DataOptions& options, bool links);

// UserError naming the first file of `now` that is not what it was in `then`; `out` names the run.
void ExpectSameFiles(const std::string& then, const std::string& now, const std::string& out);

}  // namespace attend::tasks
