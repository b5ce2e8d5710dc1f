#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace attend::kernels::attention {

// Uninitialised numbers at the start of a line of cache, kept from call to call by the thread that owns them: fetching memory anew costs
// more than attention of short sequences does. What is large is given back.
class Storage {
 public:
  float* AtLeast(int64_t size) {
    if (size > size_) {
      data_.reset();
      const size_t bytes = (static_cast<size_t>(size) * sizeof(float) + 63) / 64 * 64;
      data_.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
      if (!data_) throw std::bad_alloc();
      size_ = size;
    }
    return data_.get();
  }
  void GiveBack() {
    if (size_ <= kKept) return;
    data_.reset();
    size_ = 0;
  }

 private:
  static constexpr int64_t kKept = 1 << 22;  // 16 MiB
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float, Free> data_;
  int64_t size_ = 0;
};

}  // namespace attend::kernels::attention
