#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

namespace attend {

// Large blocks of memory that are kept, when they are given back, for the next of their size or down to half of it: the system hands out
// zeroed pages, one fault each. What is in use and what is kept are together at most a quarter more than what was in use at once; of what
// is kept the block that waited longest goes first. Thread-safe.
class BlockCache {
 public:
  static constexpr size_t kAlignment = 64;

  BlockCache() = default;
  ~BlockCache();
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  void* Take(size_t bytes);  // at a multiple of kAlignment; null: the system has no more
  void Give(void* block);    // one that was taken

  // What is in use and kept, at most, where `used` bytes are in use at once.
  static constexpr size_t Most(size_t used) { return used + used / 4; }

  size_t used() const;  // bytes in use, of whole blocks
  size_t held() const;  // and those kept

 private:
  struct Kept {
    void* begin;
    uint64_t since;
  };
  void Release(size_t most);  // until so much is held, or nothing kept

  mutable std::mutex mutex_;
  std::multimap<size_t, Kept> kept_;  // by size
  size_t used_ = 0, waiting_ = 0, most_ = 0;
  uint64_t clock_ = 0;
};

}  // namespace attend
