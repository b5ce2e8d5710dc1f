#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace attend::ops {

// An absent tensor is undefined in our own signatures; torch::autograd::Function::apply wants it as nullopt.
inline std::optional<at::Tensor> Optional(const at::Tensor& t) { return t.defined() ? std::optional(t) : std::nullopt; }
inline at::Tensor Undefined(const std::optional<at::Tensor>& t) { return t ? *t : at::Tensor(); }

}  // namespace attend::ops
