#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace attend::random {

// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): a pure function of counter and key, so that a
// draw depends on what it is for and on nothing else - not on threads, batches, ranks or how often the program was interrupted.
struct Counter {
  uint32_t v[4];
};

inline Counter Philox(Counter c, uint64_t key) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; round++) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c.v[0], p1 = uint64_t{0xCD9E8D57} * c.v[2];
    c = {{static_cast<uint32_t>(p1 >> 32) ^ c.v[1] ^ k0, static_cast<uint32_t>(p1), static_cast<uint32_t>(p0 >> 32) ^ c.v[3] ^ k1,
          static_cast<uint32_t>(p0)}};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

// FNV-1a of "module path:use": names what a draw is for.
constexpr uint64_t Purpose(std::string_view text) {
  uint64_t h = 0xcbf29ce484222325ull;
  for (char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return h;
}

// The key of one example's draws in one update: the first 64 bits of Philox(key = seed; counter = purpose, step, example).
// The 64-bit purpose is folded to one counter word and the key's upper half, step and example keep their low 32 and 64 bits.
inline uint64_t RowKey(uint64_t seed, uint64_t purpose, uint64_t step, uint64_t example) {
  const uint64_t key = seed ^ (purpose & 0xffffffff00000000ull);
  const Counter c = Philox(
      {{static_cast<uint32_t>(purpose), static_cast<uint32_t>(step), static_cast<uint32_t>(example), static_cast<uint32_t>(example >> 32)}},
      key);
  return static_cast<uint64_t>(c.v[0]) | static_cast<uint64_t>(c.v[1]) << 32;
}

// A sequence of 32-bit draws under one key, for torch-free code that takes them one by one. `stream` separates independent uses.
class Stream {
 public:
  explicit Stream(uint64_t key, uint32_t stream = 0) : key_(key), stream_(stream) {}

  uint32_t Next() {
    if (left_ == 0) {
      block_ = Philox({{static_cast<uint32_t>(n_), static_cast<uint32_t>(n_ >> 32), 0, stream_}}, key_);
      n_++;
      left_ = 4;
    }
    return block_.v[4 - left_--];
  }
  // Uniform in [0, 1), 24 bits.
  float Uniform() { return static_cast<float>(Next() >> 8) * 0x1p-24f; }
  // Uniform in [0, 1), 53 bits.
  double UniformDouble() {
    const uint64_t hi = Next() >> 5, lo = Next() >> 6;
    return static_cast<double>(hi * 67108864 + lo) * 0x1p-53;
  }
  // Uniform in [0, n), n > 0, without bias (Lemire 2019).
  uint32_t Below(uint32_t n) {
    uint64_t m = static_cast<uint64_t>(Next()) * n;
    if (static_cast<uint32_t>(m) < n) {
      const uint32_t threshold = (0u - n) % n;
      while (static_cast<uint32_t>(m) < threshold) m = static_cast<uint64_t>(Next()) * n;
    }
    return static_cast<uint32_t>(m >> 32);
  }

 private:
  uint64_t key_, n_ = 0;
  uint32_t stream_;
  int left_ = 0;
  Counter block_{};
};

// Dropout by 16-bit draws, eight to a Philox call: element j of row i is dropped when its draw is below the threshold.
struct Dropout {
  uint32_t threshold;  // round(65536 p)
  float scale;         // of kept values: 65536 / (65536 - threshold)
  explicit Dropout(double p)
      : threshold(static_cast<uint32_t>(p * 65536.0 + 0.5)), scale(static_cast<float>(65536.0 / (65536.0 - threshold))) {}
  // The draws of elements 8*block .. 8*block+7 under counter (block, position, head, stream).
  static std::array<uint16_t, 8> Draws(uint64_t key, uint32_t block, uint32_t position, uint32_t head, uint32_t stream) {
    const Counter c = Philox({{block, position, head, stream}}, key);
    std::array<uint16_t, 8> out;
    for (int i = 0; i < 4; i++) {
      out[2 * i] = static_cast<uint16_t>(c.v[i]);
      out[2 * i + 1] = static_cast<uint16_t>(c.v[i] >> 16);
    }
    return out;
  }
};

}  // namespace attend::random
