#pragma once

#include <string_view>

#include "attend/kernels/attention/names.h"

namespace attend::cli {

// How a mechanism of the vocabulary is computed on each device. Fused: by one pass of attend/kernels, in float and bfloat16. Composed: by
// its formula on torch's operations, in attend/ops or attend/nn.
inline std::string_view PathOf(std::string_view list, std::string_view name) {
  const bool cells = list == "cells";  // kernels/cells.h has all
  return cells || kernels::attention::Has(list, name) ? "fused on cpu, composed on cuda" : "composed on cpu and cuda";
}

}  // namespace attend::cli
