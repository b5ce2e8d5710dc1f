#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "attend/base/error.h"
#include "attend/data/safetensors.h"

// Any bytes either open - and then every tensor lies in the file and can be read - or are refused in one line.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const attend::Descriptor file(memfd_create("safetensors", MFD_CLOEXEC));
  attend::WriteAt(file, {reinterpret_cast<const char*>(data), size}, 0, "the fuzzer's input");
  try {
    const attend::data::Safetensors tensors("/proc/self/fd/" + std::to_string(file.get()));
    unsigned sum = 0;
    for (const auto& [name, tensor] : tensors.tensors()) {
      if (static_cast<uint64_t>(tensor.elements()) * attend::data::Bytes(tensor.type) != tensor.bytes.size()) __builtin_trap();
      for (char c : tensor.bytes) sum += static_cast<unsigned char>(c);
    }
    volatile unsigned keep = sum;
    static_cast<void>(keep);
    tensors.Verify();
  } catch (const attend::UserError& e) {
    if (std::string(e.what()).find('\n') != std::string::npos) __builtin_trap();
  }
  return 0;
}
