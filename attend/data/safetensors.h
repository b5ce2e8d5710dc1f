#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attend/base/enum.h"
#include "attend/base/file.h"

namespace attend::data {

// Element types, named as in the file.
enum class TensorType { f64, f32, f16, bf16, i64, i32, i16, i8, u8, boolean };
std::span<const Choice> Choices(TensorType);
size_t Bytes(TensorType type);  // of one element

struct Tensor {
  TensorType type = TensorType::f32;
  std::vector<int64_t> shape;
  std::string_view bytes;  // row-major, little-endian; a mapped file's lie wherever the file put them: copy, do not cast

  int64_t elements() const;
};

using Metadata = std::map<std::string, std::string>;

// A safetensors file, mapped. Opening reads the header only and checks all of it - untrusted bytes: its length, JSON and depth, types,
// shapes against byte counts, offsets that cover the data exactly once - so that every Tensor lies within the file.
// UserError naming the file, one line, for anything else. Thread-safe.
class Safetensors {
 public:
  explicit Safetensors(const Path& path);
  const std::map<std::string, Tensor>& tensors() const { return tensors_; }
  const Metadata& metadata() const { return metadata_; }
  const Tensor& Find(const std::string& name) const;  // UserError naming what there is

  // Reads all of the file and compares it with the checksum in its metadata. UserError: damaged, or, where `required`, without one.
  void Verify(bool required = true) const;

 private:
  Path path_;
  MappedFile file_;
  std::map<std::string, Tensor> tensors_;
  Metadata metadata_;
};

// Writes atomically (temporary, fsync, rename), with metadata "checksum" added: "xxh64:" and the hash of the whole file, header included,
// in which the 16 digits of the hash are '0'. Tensors are laid out by falling element size, then name, behind a header padded to 64 bytes,
// so that each is aligned. The bytes of a tensor must be as many as type and shape say. SystemError: disk full.
void WriteSafetensors(const Path& path, const std::map<std::string, Tensor>& tensors, Metadata metadata = {});

}  // namespace attend::data
