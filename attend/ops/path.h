#pragma once

#include <string>

#include "attend/ops/check.h"

namespace attend::ops {

// Which path a call takes, in words: "composed: …" and why. One place decides, for every backend.
std::string Path(const Call& call, const Shape& shape);

}  // namespace attend::ops
