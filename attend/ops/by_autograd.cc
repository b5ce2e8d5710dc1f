#include "attend/ops/by_autograd.h"

#include <ATen/core/grad_mode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/autograd.h>

namespace attend::ops {

std::vector<at::Tensor> ByAutograd(const std::function<at::Tensor(const std::vector<at::Tensor>&)>& forward,
                                   const std::vector<at::Tensor>& inputs, const at::Tensor& grad) {
  const c10::impl::LocalDispatchKeySet below = c10::impl::tls_local_dispatch_key_set();
  const c10::impl::ForceDispatchKeyGuard above(below.included_ | c10::DispatchKeySet(c10::DispatchKey::ADInplaceOrView),
                                               below.excluded_ - c10::autograd_dispatch_keyset_with_ADInplaceOrView);
  const at::AutoGradMode record(true);
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& t : inputs) leaves.push_back(t.detach().requires_grad_());
  return torch::autograd::grad({forward(leaves)}, leaves, {grad}, /*retain_graph=*/false, /*create_graph=*/false, /*allow_unused=*/true);
}

}  // namespace attend::ops
