#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace attend {

// XXH64 (Collet, "xxHash fast digest algorithm", specification 0.1.1) with seed 0, fed piece by piece: a checksum against damage, not
// against forgery. Reads words as little-endian, as every supported machine does.
class Hash64 {
 public:
  void Update(const void* data, size_t size) {
    const auto* p = static_cast<const unsigned char*>(data);
    total_ += size;
    if (filled_ + size < sizeof(buffer_)) {
      if (size) std::memcpy(buffer_ + filled_, p, size);
      filled_ += size;
      return;
    }
    if (filled_) {
      const size_t take = sizeof(buffer_) - filled_;
      std::memcpy(buffer_ + filled_, p, take);
      Stripe(buffer_);
      p += take;
      size -= take;
      filled_ = 0;
    }
    for (; size >= sizeof(buffer_); p += sizeof(buffer_), size -= sizeof(buffer_)) Stripe(p);
    if (size) std::memcpy(buffer_, p, size);
    filled_ = size;
  }
  void Update(std::string_view bytes) { Update(bytes.data(), bytes.size()); }

  uint64_t Digest() const {
    uint64_t h = lanes_[2] + kPrime5;
    if (total_ >= sizeof(buffer_)) {
      h = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) + std::rotl(lanes_[3], 18);
      for (uint64_t lane : lanes_) h = (h ^ Round(0, lane)) * kPrime1 + kPrime4;
    }
    h += total_;
    const unsigned char *p = buffer_, *end = buffer_ + filled_;
    for (; p + 8 <= end; p += 8) h = std::rotl(h ^ Round(0, Read<uint64_t>(p)), 27) * kPrime1 + kPrime4;
    if (p + 4 <= end) {
      h = std::rotl(h ^ Read<uint32_t>(p) * kPrime1, 23) * kPrime2 + kPrime3;
      p += 4;
    }
    for (; p < end; p++) h = std::rotl(h ^ *p * kPrime5, 11) * kPrime1;
    h = (h ^ h >> 33) * kPrime2;
    h = (h ^ h >> 29) * kPrime3;
    return h ^ h >> 32;
  }

 private:
  static constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87, kPrime2 = 0xC2B2AE3D27D4EB4F, kPrime3 = 0x165667B19E3779F9,
                            kPrime4 = 0x85EBCA77C2B2AE63, kPrime5 = 0x27D4EB2F165667C5;

  template <class T>
  static uint64_t Read(const unsigned char* p) {
    T value;
    std::memcpy(&value, p, sizeof(value));
    return value;
  }
  static uint64_t Round(uint64_t lane, uint64_t word) { return std::rotl(lane + word * kPrime2, 31) * kPrime1; }
  void Stripe(const unsigned char* p) {
    for (int i = 0; i < 4; i++) lanes_[i] = Round(lanes_[i], Read<uint64_t>(p + 8 * i));
  }

  uint64_t lanes_[4] = {kPrime1 + kPrime2, kPrime2, 0, 0 - kPrime1};
  uint64_t total_ = 0;
  size_t filled_ = 0;
  unsigned char buffer_[32] = {};
};

inline uint64_t Hash(std::string_view bytes) {
  Hash64 hash;
  hash.Update(bytes);
  return hash.Digest();
}

// Sixteen lower-case hexadecimal digits.
inline std::string Hex(uint64_t value) {
  std::string out(16, '0');
  for (int i = 15; i >= 0; i--, value >>= 4) out[static_cast<size_t>(i)] = "0123456789abcdef"[value & 15];
  return out;
}

}  // namespace attend
