#include "attend/ops/path.h"

#include <sstream>

#include "attend/ops/fused.h"

namespace attend::ops {

std::string Path(const Call& call, const Shape& shape) {
  if (const std::string reason = NotFused(call, shape); !reason.empty()) return "composed: " + reason;
  std::ostringstream out;
  out << "fused: " << (shape.score ? "score " + call.score : "given scores") << ", " << shape.dtype << " on " << call.value.device().type();
  return out.str();
}

}  // namespace attend::ops
