#include "attend/nn/context.h"

#include <ATen/ops/empty.h>

#include "attend/kernels/random.h"

namespace attend::nn {

at::Tensor Context::RowKeys(std::string_view purpose) const {
  at::Tensor keys = at::empty({static_cast<int64_t>(examples.size())}, at::kLong);
  int64_t* p = keys.data_ptr<int64_t>();
  const uint64_t id = random::Purpose(purpose);
  for (size_t i = 0; i < examples.size(); i++)
    p[i] = static_cast<int64_t>(random::RowKey(seed, id, step, static_cast<uint64_t>(examples[i])));
  return keys.to(device);
}

}  // namespace attend::nn
