#include "attend/ops/tensor_memory.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <new>

#include "attend/base/block_cache.h"

namespace attend::ops {
namespace {

constexpr size_t kLarge = size_t{256} << 10;  // smaller ones are the C library's, which keeps them
constexpr size_t kHeader = BlockCache::kAlignment;

// Lives as long as the process: tensors may be freed after the last static object is.
BlockCache& Cache() {
  static auto* cache = new BlockCache;
  return *cache;
}

class Allocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* data = nullptr;
    if (bytes > 0) {
      char* begin = static_cast<char*>(bytes >= kLarge ? Cache().Take(bytes + kHeader) : c10::alloc_cpu(bytes + kHeader));
      if (!begin) throw std::bad_alloc();
      *reinterpret_cast<size_t*>(begin) = bytes;
      data = begin + kHeader;
      Report(data, static_cast<int64_t>(bytes));
    }
    return {data, data, &Free, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &Free; }
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }

 private:
  static void Report(void* data, int64_t bytes) {
    if (c10::memoryProfilingEnabled())
      c10::reportMemoryUsageToProfiler(data, bytes, Cache().used(), Cache().held(), c10::Device(c10::kCPU));
  }
  static void Free(void* data) {
    if (!data) return;
    char* begin = static_cast<char*>(data) - kHeader;
    const size_t bytes = *reinterpret_cast<size_t*>(begin);
    Report(data, -static_cast<int64_t>(bytes));
    bytes >= kLarge ? Cache().Give(begin) : c10::free_cpu(begin);
  }
};

}  // namespace

void KeepTensorMemory() {
  static auto* allocator = new Allocator;
  c10::SetCPUAllocator(allocator);
}

}  // namespace attend::ops
