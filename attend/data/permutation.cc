#include "attend/data/permutation.h"

#include <bit>

#include "attend/kernels/random.h"

namespace attend::data {
namespace {

constexpr uint32_t kRounds = 6;  // four make a strong pseudo-random permutation (Luby and Rackoff 1988); two more for small domains

}  // namespace

Permutation::Permutation(int64_t n, uint64_t key) : n_(n), key_(key) {
  const int bits = n > 1 ? std::bit_width(static_cast<uint64_t>(n - 1)) : 1;
  half_bits_ = bits < 8 ? 4 : (bits + 1) / 2;  // a tiny half has too few round functions to look random; walking 256 values is cheap
}

int64_t Permutation::operator()(int64_t i) const {
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  auto value = static_cast<uint64_t>(i);
  do {
    uint64_t left = value >> half_bits_, right = value & mask;
    for (uint32_t round = 0; round < kRounds; round++) {
      const random::Counter draw = random::Philox({{static_cast<uint32_t>(right), static_cast<uint32_t>(right >> 32), round, 0}}, key_);
      const uint64_t next = (left ^ (static_cast<uint64_t>(draw.v[0]) | static_cast<uint64_t>(draw.v[1]) << 32)) & mask;
      left = right;
      right = next;
    }
    value = left << half_bits_ | right;
  } while (value >= static_cast<uint64_t>(n_));
  return static_cast<int64_t>(value);
}

}  // namespace attend::data
