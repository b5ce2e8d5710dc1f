#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>

namespace attend::ops {

// Whether the products of this library's own kernels (kernels/linear.h) serve a tensor: float matrices on the CPU.
bool OwnProducts(const at::Tensor& matrix);

// out (M, N) = addend (M, N) or (N) or undefined + x (M, K) weightᵀ, weight (N, K) in any layout; all of them OwnProducts. The same bits
// whatever the threads, and for each row whatever the others. out may be the addend.
void AddOwnLinear(const at::Tensor& out, const at::Tensor& addend, const at::Tensor& x, const at::Tensor& weight);

// A copy of a weight laid out for those products, for one that serves several of them. The same bits as AddOwnLinear.
class PackedWeight {
 public:
  // weight (N, K), OwnProducts. lasting: where it serves for long, memory for it that takes a while to get and is faster to read.
  explicit PackedWeight(const at::Tensor& weight, bool lasting = false);
  void AddLinear(const at::Tensor& out, const at::Tensor& addend, const at::Tensor& x) const;

 private:
  struct Free {
    void operator()(float* p) const;
  };
  int64_t outputs_, inputs_;
  std::unique_ptr<float[], Free> packed_;
};

}  // namespace attend::ops
