#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "attend/data/batch.h"

namespace attend::models {

// A field of a batch as tensors on a device. The one place where plain values become tensors.
struct Ids {
  at::Tensor values;   // (B, T) int64
  at::Tensor lengths;  // (B) int64
};
Ids ToTensors(const data::IdField& field, at::Device device);
at::Tensor ToTensor(const data::FloatField& field, at::Device device);

}  // namespace attend::models
