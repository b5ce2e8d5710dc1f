#pragma once

#include <cstring>
#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

#include "attend/train/events.h"
#include "gtest/gtest.h"

// Reads TensorBoard's event files back, checking every length and checksum.
namespace attend::train {

struct Wire {  // protocol buffers, as far as events need them
  std::string_view bytes;
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      if (bytes.empty() || shift > 63) throw std::runtime_error("a varint that does not end");
      const auto b = static_cast<unsigned char>(bytes[0]);
      bytes.remove_prefix(1);
      value |= static_cast<uint64_t>(b & 127) << shift;
      if (b < 128) return value;
    }
  }
  template <class T>
  T Fixed() {
    T value;
    if (bytes.size() < sizeof(T)) throw std::runtime_error("a number cut off");
    std::memcpy(&value, bytes.data(), sizeof(T));
    bytes.remove_prefix(sizeof(T));
    return value;
  }
  std::string_view Bytes() {
    const uint64_t n = Varint();
    if (n > bytes.size()) throw std::runtime_error("bytes cut off");
    const std::string_view out = bytes.substr(0, n);
    bytes.remove_prefix(n);
    return out;
  }
};

struct LoggedScalar {
  std::string tag;
  float value = 0;
  int64_t step = 0;
  double wall_time = 0;
};

// All scalars of one file; its first record must name the version.
inline std::vector<LoggedScalar> ReadEvents(const Path& path) {
  const std::string content = ReadFile(path, "events");
  Wire file{content};
  const auto unmask = [](uint32_t masked) {
    const uint32_t r = masked - 0xa282ead8u;
    return r >> 17 | r << 15;
  };
  std::vector<LoggedScalar> out;
  for (int record = 0; !file.bytes.empty(); record++) {
    const std::string_view frame = file.bytes;
    const auto length = file.Fixed<uint64_t>();
    EXPECT_EQ(unmask(file.Fixed<uint32_t>()), Crc32c(frame.substr(0, 8)));
    if (length > file.bytes.size()) throw std::runtime_error("a record cut off");
    Wire event{file.bytes.substr(0, length)};
    EXPECT_EQ(unmask((file.bytes.remove_prefix(length), file.Fixed<uint32_t>())), Crc32c(event.bytes));
    LoggedScalar scalar;
    bool version = false, summary = false;
    while (!event.bytes.empty()) {
      switch (event.Varint()) {
        case 1 << 3 | 1:
          scalar.wall_time = event.Fixed<double>();
          break;
        case 2 << 3:
          scalar.step = static_cast<int64_t>(event.Varint());
          break;
        case 3 << 3 | 2:
          version = event.Bytes() == "brain.Event:2";
          break;
        case 5 << 3 | 2: {
          Wire entry{Wire{event.Bytes()}};
          EXPECT_EQ(entry.Varint(), 1u << 3 | 2);
          Wire value{entry.Bytes()};
          EXPECT_EQ(value.Varint(), 1u << 3 | 2);
          scalar.tag = value.Bytes();
          EXPECT_EQ(value.Varint(), 2u << 3 | 5);
          scalar.value = value.Fixed<float>();
          EXPECT_TRUE(value.bytes.empty() && entry.bytes.empty());
          summary = true;
          break;
        }
        default:
          throw std::runtime_error("an unknown field");
      }
    }
    EXPECT_EQ(version, record == 0);
    EXPECT_EQ(summary, record != 0);
    if (summary) out.push_back(scalar);
  }
  return out;
}

// Of a model directory, which holds one file: (step, tag, value) but speeds.
inline std::vector<std::tuple<int64_t, std::string, float>> Scalars(const Path& folder) {
  std::vector<std::tuple<int64_t, std::string, float>> out;
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename().string().find("tfevents") == std::string::npos) continue;
    files++;
    for (const LoggedScalar& s : ReadEvents(entry.path()))
      if (s.tag != "train/tokens_per_second") out.emplace_back(s.step, s.tag, s.value);
  }
  EXPECT_EQ(files, 1);
  return out;
}

}  // namespace attend::train
