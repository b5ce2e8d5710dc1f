#pragma once

#include "attend/nn/positions.h"

namespace attend::nn::positions {

// Nothing tells positions apart but what each token can see.
class none : public Positions {};

inline std::shared_ptr<Positions> Make(const spec::NoPositions&, const PositionSizes&) { return std::make_shared<none>(); }

}  // namespace attend::nn::positions
