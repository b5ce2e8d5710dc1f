#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <map>
#include <string>

#include "attend/base/file.h"
#include "attend/data/safetensors.h"

namespace attend::train {

// Tensors by name, in a fixed order.
using NamedTensors = std::map<std::string, at::Tensor>;

NamedTensors Parameters(const torch::nn::Module& module);

// Writes / reads tensors of float32 or int64. Reading copies into `into` (same names and shapes, or UserError that lists what differs),
// after the checksum was verified.
void SaveTensors(const Path& path, const NamedTensors& tensors, data::Metadata metadata = {});
void LoadTensors(const Path& path, const NamedTensors& into);

}  // namespace attend::train
