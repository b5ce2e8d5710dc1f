#include "attend/train/events.h"

#include <array>
#include <cstring>

#include "attend/base/error.h"

namespace attend::train {
namespace {

// Protocol buffers' wire format, as much of it as an Event needs.
void Varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}
template <class T>
void Fixed(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}
void Bytes(std::string& out, int field, std::string_view bytes) {
  Varint(out, static_cast<uint64_t>(field) << 3 | 2);
  Varint(out, bytes.size());
  out += bytes;
}

std::string Event(double wall_time, int64_t step) {
  std::string out;
  Varint(out, 1 << 3 | 1);  // wall_time
  Fixed(out, wall_time);
  Varint(out, 2 << 3 | 0);  // step
  Varint(out, static_cast<uint64_t>(step));
  return out;
}

uint32_t Masked(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8u; }

}  // namespace

uint32_t Crc32c(std::string_view bytes) {
  static const auto kTable = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t c = i;
      for (int k = 0; k < 8; k++) c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
      table[i] = c;
    }
    return table;
  }();
  uint32_t crc = 0xffffffffu;
  for (char b : bytes) crc = kTable[(crc ^ static_cast<unsigned char>(b)) & 255] ^ crc >> 8;
  return ~crc;
}

EventFile::EventFile(const Path& path) : file_(std::fopen(path.c_str(), "ab")), path_(path) {
  if (!file_) throw SystemError("[train] expected to write " + path.string() + "; found " + std::strerror(errno));
  std::fseek(file_.get(), 0, SEEK_END);
  if (std::ftell(file_.get()) == 0) {
    std::string version = Event(0, 0);
    Bytes(version, 3, "brain.Event:2");
    Record(version);
  }
}

void EventFile::Record(const std::string& message) {
  std::string frame, length;
  Fixed(length, static_cast<uint64_t>(message.size()));
  frame = length;
  Fixed(frame, Masked(Crc32c(length)));
  frame += message;
  Fixed(frame, Masked(Crc32c(message)));
  if (std::fwrite(frame.data(), 1, frame.size(), file_.get()) != frame.size())
    throw SystemError("[train] expected to write " + path_.string() + "; found " + std::strerror(errno));
}

void EventFile::Scalar(std::string_view tag, double value, int64_t step, double wall_time) {
  std::string entry, summary, event = Event(wall_time, step);
  Bytes(entry, 1, tag);
  Varint(entry, 2 << 3 | 5);  // simple_value
  Fixed(entry, static_cast<float>(value));
  Bytes(summary, 1, entry);
  Bytes(event, 5, summary);
  Record(event);
}

uint64_t EventFile::Flush() {
  if (std::fflush(file_.get()) != 0) throw SystemError("[train] expected to write " + path_.string() + "; found " + std::strerror(errno));
  return static_cast<uint64_t>(std::ftell(file_.get()));
}

}  // namespace attend::train
