#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "attend/base/file.h"

namespace attend::data {

// Rows of 64-bit words in a mapped temporary file without a name: file-backed, so that the kernel may drop it from memory. Thread-safe.
class IndexFile {
 public:
  IndexFile() = default;
  IndexFile(MappedFile file, size_t columns);
  int64_t rows() const { return columns_ ? static_cast<int64_t>(file_.bytes().size() / (columns_ * sizeof(uint64_t))) : 0; }
  std::span<const uint64_t> Row(int64_t i) const {
    return {reinterpret_cast<const uint64_t*>(file_.bytes().data()) + static_cast<size_t>(i) * columns_, columns_};
  }

 private:
  MappedFile file_;
  size_t columns_ = 0;
};

class IndexWriter {
 public:
  IndexWriter(const Path& folder, size_t columns);  // SystemError
  void Append(std::span<const uint64_t> row);       // SystemError: disk full
  IndexFile Finish();

 private:
  void Flush();
  Descriptor file_;
  size_t columns_;
  uint64_t written_ = 0;
  std::vector<uint64_t> buffer_;
};

}  // namespace attend::data
