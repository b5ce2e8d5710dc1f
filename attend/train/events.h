#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "attend/base/file.h"

namespace attend::train {

// A TensorBoard event file (TFRecord framing of Event messages: length, masked CRC-32C, bytes, masked CRC-32C), scalars only.
// Appends to `path`, which starts with the version record. Failures to write are SystemErrors.
class EventFile {
 public:
  explicit EventFile(const Path& path);
  void Scalar(std::string_view tag, double value, int64_t step, double wall_time);
  uint64_t Flush();  // bytes on disk afterwards

 private:
  void Record(const std::string& message);
  struct Closer {
    void operator()(std::FILE* f) const { std::fclose(f); }
  };
  std::unique_ptr<std::FILE, Closer> file_;
  Path path_;
};

uint32_t Crc32c(std::string_view bytes);

}  // namespace attend::train
