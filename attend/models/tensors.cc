#include "attend/models/tensors.h"

#include <ATen/ops/from_blob.h>

namespace attend::models {

namespace {

at::Tensor Copy(const std::vector<int32_t>& values, at::IntArrayRef shape, at::Device device) {
  return at::from_blob(const_cast<int32_t*>(values.data()), shape, at::kInt).to(device, at::kLong);  // converts, hence copies
}

}  // namespace

Ids ToTensors(const data::IdField& field, at::Device device) {
  return {Copy(field.values, {field.rows, field.columns}, device), Copy(field.lengths, {field.rows}, device)};
}

at::Tensor ToTensor(const data::FloatField& field, at::Device device) {
  return at::from_blob(const_cast<float*>(field.values.data()), field.shape, at::kFloat).clone().to(device);
}

}  // namespace attend::models
