#include "attend/nn/positions.h"

#include "attend/nn/positions.inc"

namespace attend::nn {

std::shared_ptr<Positions> MakePositions(const spec::Positions& options, const PositionSizes& sizes) {
  return std::visit([&](const auto& o) { return positions::Make(o, sizes); }, options);
}

}  // namespace attend::nn
