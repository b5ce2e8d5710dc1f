// Attention over random keys and values, with its weights.
#include <ATen/ops/rand.h>

#include <iostream>

#include "attend/ops/attention.h"

int main() {
  const at::Tensor query = at::rand({1, 1, 2, 8}), key = at::rand({1, 1, 5, 8}), value = at::rand({1, 1, 5, 8});  // (B, H, T, D)
  attend::ops::AttentionArgs args;
  args.need_weights = true;
  const attend::ops::AttentionResult result = attend::ops::attention(query, key, value, args);
  std::cout << "output " << result.output.sizes() << ", each row of weights sums to " << result.weights.sum(-1).flatten() << "\n";
}
