#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace attend::ops {

// The gradients of `inputs` from that of forward(inputs), by recording and differentiating it, inside a kernel that runs below autograd:
// for formulas that bring no backward of their own. An input that takes no part has an undefined one.
std::vector<at::Tensor> ByAutograd(const std::function<at::Tensor(const std::vector<at::Tensor>&)>& forward,
                                   const std::vector<at::Tensor>& inputs, const at::Tensor& grad);

}  // namespace attend::ops
