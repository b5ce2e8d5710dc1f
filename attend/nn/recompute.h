#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace attend::nn {

// f(inputs), of which nothing is kept for the backward pass but the inputs: there it is computed again (Chen et al. 2016, "Training deep
// nets with sublinear memory cost"). parameters: what else f reads that takes a gradient. f gives the same bits each time, and outlives the
// call. Without gradients it is f itself.
at::Tensor Recomputed(std::function<at::Tensor(const std::vector<at::Tensor>& inputs)> f, const std::vector<at::Tensor>& inputs,
                      const std::vector<at::Tensor>& parameters);

}  // namespace attend::nn
