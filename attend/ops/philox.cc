#include "attend/ops/philox.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bitwise_and.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "attend/kernels/dropout.h"
#include "attend/kernels/random.h"

namespace attend::ops {
namespace {

constexpr int64_t kWord = 0xffffffff;

float KeptScale(const random::Dropout& dropout) { return dropout.threshold < 65536 ? dropout.scale : 0; }

// One product of a Philox round: the high and low words of constant · word.
std::array<at::Tensor, 2> Multiply(const at::Tensor& word, int64_t constant) {
  const at::Tensor product = word * constant;  // wraps modulo 2^64, which leaves all bits of a product of two words
  return {product.bitwise_right_shift(32).bitwise_and(kWord), product.bitwise_and(kWord)};
}

// The four words of Philox under each counter (block, offset_b + position, head, stream): (B, H, T, blocks) each, int64.
std::vector<at::Tensor> Words(const at::Tensor& keys, const at::Tensor& offsets, int64_t heads, int64_t positions, int64_t blocks,
                              int64_t stream, const at::TensorOptions& options) {
  const auto ints = options.dtype(at::kLong);
  at::Tensor position = at::arange(positions, ints).view({1, 1, -1, 1});
  if (offsets.defined()) position = position + offsets.to(ints).view({-1, 1, 1, 1});
  at::Tensor c0 = at::arange(blocks, ints).view({1, 1, 1, -1}), c1 = position.bitwise_and(kWord),
             c2 = at::arange(heads, ints).view({1, -1, 1, 1}), c3 = at::full({1, 1, 1, 1}, stream & kWord, ints);
  const at::Tensor key = keys.to(ints).view({-1, 1, 1, 1});
  at::Tensor k0 = key.bitwise_and(kWord), k1 = key.bitwise_right_shift(32).bitwise_and(kWord);
  for (int round = 0; round < 10; round++) {
    const auto [hi0, lo0] = Multiply(c0, 0xD2511F53);
    const auto [hi1, lo1] = Multiply(c2, 0xCD9E8D57);
    c0 = hi1.bitwise_xor(c1).bitwise_xor(k0);
    c1 = lo1;
    c2 = hi0.bitwise_xor(c3).bitwise_xor(k1);
    c3 = lo0;
    k0 = (k0 + 0x9E3779B9).bitwise_and(kWord);
    k1 = (k1 + 0xBB67AE85).bitwise_and(kWord);
  }
  const std::vector<int64_t> full = {keys.size(0), heads, positions, blocks};
  return {c0.expand(full), c1.expand(full), c2.expand(full), c3.expand(full)};
}

// Calls row(key, position, head, place) for every (b, h, t), in parallel, with place = the row's first element of (B, H, T, C).
template <class F>
void ForEachRow(const at::Tensor& keys, const at::Tensor& offsets, int64_t heads, int64_t positions, int64_t channels, F&& row) {
  const at::Tensor key = keys.contiguous(), offset = offsets.defined() ? offsets.to(at::kLong).contiguous() : offsets;
  const int64_t* key_data = key.const_data_ptr<int64_t>();
  const int64_t* offset_data = offset.defined() ? offset.const_data_ptr<int64_t>() : nullptr;
  const bool offset_per_row = offset.defined() && offset.dim() == 1;
  const int64_t grain = std::max<int64_t>(1, 8192 / std::max<int64_t>(channels, 1));
  at::parallel_for(0, key.size(0) * heads * positions, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t t = i % positions, h = i / positions % heads, b = i / (positions * heads);
      const int64_t at = t + (offset_data ? offset_data[offset_per_row ? b : 0] : 0);
      row(static_cast<uint64_t>(key_data[b]), static_cast<uint32_t>(at), static_cast<uint32_t>(h), i * channels);
    }
  });
}

}  // namespace

at::Tensor RowKeys(const at::Tensor& seed, int64_t rows) {
  if (seed.dim() == 1) return seed.scalar_type() == at::kLong ? seed : seed.to(at::kLong);
  const auto number = static_cast<uint64_t>(seed.item<int64_t>());
  at::Tensor keys = at::empty({rows}, at::kLong);
  int64_t* out = keys.mutable_data_ptr<int64_t>();
  for (int64_t b = 0; b < rows; b++) out[b] = static_cast<int64_t>(random::RowKey(number, random::Purpose("attend.attention"), 0, b));
  return keys.to(seed.device());
}

at::Tensor ComposedDropoutFactors(const at::Tensor& keys, const at::Tensor& offsets, int64_t heads, int64_t positions, int64_t channels,
                                  int64_t stream, double p, const at::TensorOptions& options) {
  const random::Dropout dropout(p);
  std::vector<at::Tensor> draws;
  for (const at::Tensor& word : Words(keys, offsets, heads, positions, (channels + 7) / 8, stream, options)) {
    draws.push_back(word.bitwise_and(0xffff));
    draws.push_back(word.bitwise_right_shift(16));
  }
  const at::Tensor draw = at::stack(draws, -1).reshape({keys.size(0), heads, positions, -1}).narrow(3, 0, channels);
  return draw.ge(static_cast<int64_t>(dropout.threshold)).to(options.dtype()).mul_(KeptScale(dropout)).contiguous();
}

at::Tensor ComposedGumbelDraws(const at::Tensor& keys, const at::Tensor& offsets, int64_t heads, int64_t positions, int64_t channels,
                               int64_t stream, const at::TensorOptions& options) {
  const std::vector<at::Tensor> words = Words(keys, offsets, heads, positions, (channels + 3) / 4, stream, options);
  const at::Tensor draw = at::stack(words, -1).reshape({keys.size(0), heads, positions, -1}).narrow(3, 0, channels);
  return draw.to(at::kDouble).add_(0.5).mul_(0x1p-32).log_().neg_().log_().neg_().to(options.dtype());
}

at::Tensor DropoutFactors(const at::Tensor& keys, const at::Tensor& offsets, int64_t heads, int64_t positions, int64_t channels,
                          int64_t stream, double p, const at::TensorOptions& options) {
  if (!options.device().is_cpu()) return ComposedDropoutFactors(keys, offsets, heads, positions, channels, stream, p, options);
  const random::Dropout dropout(p);
  at::Tensor out = at::empty({keys.size(0), heads, positions, channels}, options);
  AT_DISPATCH_FLOATING_TYPES(out.scalar_type(), "DropoutFactors", [&] {
    scalar_t* data = out.mutable_data_ptr<scalar_t>();
    const scalar_t kept = KeptScale(dropout);
    const int64_t blocks = (channels + 7) / 8;
    ForEachRow(keys, offsets, heads, positions, channels, [&](uint64_t key, uint32_t position, uint32_t head, int64_t place) {
      thread_local std::vector<uint16_t> draws;
      draws.resize(static_cast<size_t>(8 * blocks));
      kernels::DropoutDraws(key, position, head, static_cast<uint32_t>(stream), blocks, draws.data());
      for (int64_t c = 0; c < channels; c++) data[place + c] = draws[static_cast<size_t>(c)] >= dropout.threshold ? kept : 0;
    });
  });
  return out;
}

at::Tensor GumbelDraws(const at::Tensor& keys, const at::Tensor& offsets, int64_t heads, int64_t positions, int64_t channels,
                       int64_t stream, const at::TensorOptions& options) {
  if (!options.device().is_cpu()) return ComposedGumbelDraws(keys, offsets, heads, positions, channels, stream, options);
  at::Tensor out = at::empty({keys.size(0), heads, positions, channels}, options);
  AT_DISPATCH_FLOATING_TYPES(out.scalar_type(), "GumbelDraws", [&] {
    scalar_t* data = out.mutable_data_ptr<scalar_t>();
    ForEachRow(keys, offsets, heads, positions, channels, [&](uint64_t key, uint32_t position, uint32_t head, int64_t place) {
      for (int64_t c = 0; c < channels; c += 4) {
        const random::Counter words = random::Philox({{static_cast<uint32_t>(c / 4), position, head, static_cast<uint32_t>(stream)}}, key);
        for (int64_t i = 0; i < std::min<int64_t>(4, channels - c); i++)
          data[place + c + i] = static_cast<scalar_t>(-std::log(-std::log((words.v[i] + 0.5) * 0x1p-32)));
      }
    });
  });
  return out;
}

}  // namespace attend::ops
