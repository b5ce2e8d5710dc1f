#include "attend/data/safetensors.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "attend/base/error.h"
#include "attend/base/hash.h"
#include "attend/data/safetensors_header.h"

namespace attend::data {
namespace {

constexpr Choice kTypes[] = {{"F64", static_cast<int>(TensorType::f64)}, {"F32", static_cast<int>(TensorType::f32)},
                             {"F16", static_cast<int>(TensorType::f16)}, {"BF16", static_cast<int>(TensorType::bf16)},
                             {"I64", static_cast<int>(TensorType::i64)}, {"I32", static_cast<int>(TensorType::i32)},
                             {"I16", static_cast<int>(TensorType::i16)}, {"I8", static_cast<int>(TensorType::i8)},
                             {"U8", static_cast<int>(TensorType::u8)},   {"BOOL", static_cast<int>(TensorType::boolean)}};

constexpr size_t kLengthBytes = 8, kAlignment = 64, kDigits = 16;
constexpr uint64_t kMaxHeader = 100'000'000;  // the format's own limit
constexpr std::string_view kChecksum = "checksum", kHashName = "xxh64:", kZeros = "0000000000000000";

// Where the checksum's digits lie in the file, or npos. Inside a JSON string a quote is escaped, so this text is a key and its value.
size_t FindDigits(std::string_view header) {
  const std::string key = "\"" + std::string(kChecksum) + "\":\"" + std::string(kHashName);
  const size_t at = header.find(key);
  if (at == std::string_view::npos || header.size() - at < key.size() + kDigits + 1) return std::string_view::npos;
  return at + key.size();
}

}  // namespace

std::span<const Choice> Choices(TensorType) { return kTypes; }

size_t Bytes(TensorType type) {
  switch (type) {
    case TensorType::f64:
    case TensorType::i64:
      return 8;
    case TensorType::f32:
    case TensorType::i32:
      return 4;
    case TensorType::f16:
    case TensorType::bf16:
    case TensorType::i16:
      return 2;
    case TensorType::i8:
    case TensorType::u8:
    case TensorType::boolean:
      return 1;
  }
  throw std::logic_error("a tensor type without a size");
}

int64_t Tensor::elements() const {
  int64_t n = 1;
  for (int64_t size : shape) n *= size;
  return n;
}

Safetensors::Safetensors(const Path& path) : path_(path), file_(path, "safetensors") {
  const std::string_view bytes = file_.bytes();
  const auto fail = [&](const std::string& found) {
    throw UserError("safetensors", "a whole safetensors file", path.string() + ": " + found);
  };
  if (bytes.size() < kLengthBytes) fail(std::to_string(bytes.size()) + " bytes");
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > kMaxHeader || length > bytes.size() - kLengthBytes) {
    fail("a header of " + std::to_string(length) + " bytes in a file of " + std::to_string(bytes.size()));
  }
  const std::string_view data = bytes.substr(kLengthBytes + length);
  std::string fault;
  if (!ParseHeader(bytes.substr(kLengthBytes, length), data, tensors_, metadata_, fault)) fail(fault);
}

const Tensor& Safetensors::Find(const std::string& name) const {
  if (const auto found = tensors_.find(name); found != tensors_.end()) return found->second;
  std::string names;
  for (const auto& [other, tensor] : tensors_) {
    if (names.size() > 200) {
      names += ", ...";
      break;
    }
    names += (names.empty() ? "" : ", ") + other;
  }
  throw UserError("safetensors", "the tensor " + name + " in " + path_.string(), names.empty() ? "no tensor" : names);
}

void Safetensors::Verify(bool required) const {
  const std::string_view bytes = file_.bytes();
  const auto said = metadata_.find(std::string(kChecksum));
  if (said == metadata_.end()) {
    if (required) throw UserError("safetensors", "a checksum in the metadata of " + path_.string(), "none");
    return;
  }
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  const size_t at = FindDigits(bytes.substr(0, kLengthBytes + length));
  bool same = at != std::string_view::npos;
  if (same) {
    Hash64 hash;
    hash.Update(bytes.substr(0, at));
    hash.Update(kZeros);
    hash.Update(bytes.substr(at + kDigits));
    same = said->second == std::string(kHashName) + Hex(hash.Digest());
  }
  if (!same) throw UserError("safetensors", "an undamaged file", path_.string() + ", which does not match its checksum");
}

void WriteSafetensors(const Path& path, const std::map<std::string, Tensor>& tensors, Metadata metadata) {
  std::vector<const std::pair<const std::string, Tensor>*> order;
  for (const auto& entry : tensors) {
    const Tensor& tensor = entry.second;
    if (static_cast<uint64_t>(tensor.elements()) * Bytes(tensor.type) != tensor.bytes.size()) {
      throw std::invalid_argument("WriteSafetensors: " + entry.first + " has other than shape x element bytes");
    }
    order.push_back(&entry);
  }
  std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) { return Bytes(a->second.type) > Bytes(b->second.type); });

  metadata[std::string(kChecksum)] = std::string(kHashName) + std::string(kZeros);
  std::string header = FormatHeader(order, metadata);
  header.append((kAlignment - (kLengthBytes + header.size()) % kAlignment) % kAlignment, ' ');
  const uint64_t length = header.size();
  std::string prefix(reinterpret_cast<const char*>(&length), kLengthBytes);
  prefix += header;

  Hash64 hash;
  hash.Update(prefix);
  for (const auto* entry : order) hash.Update(entry->second.bytes);
  prefix.replace(FindDigits(prefix), kDigits, Hex(hash.Digest()));

  AtomicFile file(path);
  file.Write(prefix);
  for (const auto* entry : order) file.Write(entry->second.bytes);
  file.Commit();
}

}  // namespace attend::data
