#include "attend/base/block_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

namespace attend {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

TEST(BlockCache, KeepsABlockForTheNextOfAboutItsSize) {
  BlockCache cache;
  void* first = cache.Take(3 * kMiB);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % BlockCache::kAlignment, 0u);
  std::memset(first, 1, 3 * kMiB);
  cache.Give(first);
  EXPECT_EQ(cache.used(), 0u);
  EXPECT_GE(cache.held(), 3 * kMiB);
  void* again = cache.Take(3 * kMiB - 300'000);
  EXPECT_EQ(again, first);
  void* other = cache.Take(kMiB);
  EXPECT_NE(other, first);
  cache.Give(again);
  void* small = cache.Take(kMiB);  // a much larger one is not spent on it
  EXPECT_NE(small, first);
  cache.Give(other);
  cache.Give(small);
}

TEST(BlockCache, HoldsAtMostAQuarterMoreThanWasInUse) {
  BlockCache cache;
  std::mt19937 draw(1);
  size_t most = 0;
  std::vector<void*> blocks;
  for (int round = 0; round < 2000; round++) {
    if (blocks.size() < 20 && draw() % 2) {
      blocks.push_back(cache.Take(kMiB / 4 + draw() % (4 * kMiB)));
    } else if (!blocks.empty()) {
      std::swap(blocks[draw() % blocks.size()], blocks.back());
      cache.Give(blocks.back());
      blocks.pop_back();
    }
    most = std::max(most, cache.used());
    ASSERT_LE(cache.held(), most + most / 4);
  }
  for (void* block : blocks) cache.Give(block);
  EXPECT_EQ(cache.used(), 0u);
  EXPECT_GT(cache.held(), most / 2);
}

TEST(BlockCache, GivesEveryThreadItsOwn) {
  BlockCache cache;
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (unsigned t = 0; t < 4; t++)
    threads.emplace_back([&, t] {
      std::mt19937 draw(t);
      for (int round = 0; round < 500; round++) {
        const size_t bytes = 300'000 + draw() % kMiB;
        auto* block = static_cast<unsigned char*>(cache.Take(bytes));
        std::memset(block, static_cast<int>(t), bytes);
        std::this_thread::yield();
        wrong += block[0] != t || block[bytes / 2] != t || block[bytes - 1] != t;
        cache.Give(block);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace attend
