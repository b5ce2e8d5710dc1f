#include "attend/ops/path.h"

#include <sstream>

namespace attend::ops {

std::string Path(const Call& call, const Shape& shape) {
  std::ostringstream out;
  out << "composed: there is no fused kernel for " << (shape.score ? "score " + call.score : "given scores") << ", " << shape.dtype
      << " on " << call.value.device().type();
  return out.str();
}

}  // namespace attend::ops
