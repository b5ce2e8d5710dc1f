#pragma once

#include <cstdint>

namespace attend::data {

// A pseudo-random permutation of 0 .. n-1 under a key, computed point by point: a full shuffle of which nothing is stored.
// A balanced Feistel network on the smallest even number of bits that holds n, its round function Philox, walked along its cycle
// until the value falls below n (Black and Rogaway 2002, "Ciphers with arbitrary finite domains"): fewer than 4 steps on average,
// but for n below 64. Thread-safe.
class Permutation {
 public:
  Permutation(int64_t n, uint64_t key);
  int64_t size() const { return n_; }
  int64_t operator()(int64_t i) const;  // 0 <= i < n

 private:
  int64_t n_;
  uint64_t key_;
  int half_bits_;
};

}  // namespace attend::data
