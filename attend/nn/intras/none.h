#pragma once

#include "attend/nn/intra.h"

namespace attend::nn::intras {

// The past is the state.
inline std::shared_ptr<Intra> Make(const spec::NoIntra&, const IntraSizes&) { return nullptr; }

}  // namespace attend::nn::intras
