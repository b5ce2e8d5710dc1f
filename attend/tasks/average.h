#pragma once

#include <span>
#include <string>

namespace attend::tasks {

// See Runtime::Average. UserError: models of other options, or of other vocabularies; `out` exists.
void Average(std::span<const std::string> models, const std::string& out);

}  // namespace attend::tasks
