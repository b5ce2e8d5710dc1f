#include "attend/base/block_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>

#include "attend/base/huge_pages.h"

namespace attend {
namespace {

constexpr size_t kPage = 4096;

// Of a block for so many bytes and its own size before them: one of eight to each doubling, so that sizes that differ a little are alike.
size_t SizeOf(size_t bytes) {
  bytes += BlockCache::kAlignment;
  const size_t step = std::max(kPage, std::bit_floor(bytes) / 8);
  return (bytes + step - 1) / step * step;
}

size_t& SizeIn(void* begin) { return *static_cast<size_t*>(begin); }

}  // namespace

BlockCache::~BlockCache() { Release(used_); }

void* BlockCache::Take(size_t bytes) {
  const size_t size = SizeOf(bytes);
  const std::lock_guard lock(mutex_);
  void* begin = nullptr;
  if (const auto found = kept_.lower_bound(size); found != kept_.end() && found->first <= 2 * size) {
    begin = found->second.begin;
    waiting_ -= found->first;
    kept_.erase(found);
  } else {
    most_ = std::max(most_, used_ + size);
    Release(Most(most_) - std::min(Most(most_), size));
    const auto map = [size] { return mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); };
    begin = map();
    if (begin == MAP_FAILED) {
      Release(used_);
      begin = map();
    }
    if (begin == MAP_FAILED) return nullptr;
    AskForHugePages(begin, size);
    SizeIn(begin) = size;
  }
  used_ += SizeIn(begin);
  most_ = std::max(most_, used_);
  return static_cast<char*>(begin) + kAlignment;
}

void BlockCache::Give(void* block) {
  void* begin = static_cast<char*>(block) - kAlignment;
  const std::lock_guard lock(mutex_);
  const size_t size = SizeIn(begin);
  used_ -= size;
  waiting_ += size;
  kept_.emplace(size, Kept{begin, clock_++});
  Release(Most(most_));
}

void BlockCache::Release(size_t most) {
  while (used_ + waiting_ > most && !kept_.empty()) {
    const auto oldest =
        std::min_element(kept_.begin(), kept_.end(), [](const auto& a, const auto& b) { return a.second.since < b.second.since; });
    waiting_ -= oldest->first;
    munmap(oldest->second.begin, oldest->first);
    kept_.erase(oldest);
  }
}

size_t BlockCache::used() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

size_t BlockCache::held() const {
  const std::lock_guard lock(mutex_);
  return used_ + waiting_;
}

}  // namespace attend
