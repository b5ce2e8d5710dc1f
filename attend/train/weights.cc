#include "attend/train/weights.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <cstring>
#include <vector>

namespace attend::train {
namespace {

std::string Shape(const std::vector<int64_t>& shape) {
  std::string out = "(";
  for (size_t i = 0; i < shape.size(); i++) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + ")";
}

data::TensorType TypeOf(const at::Tensor& t) { return t.scalar_type() == at::kLong ? data::TensorType::i64 : data::TensorType::f32; }

}  // namespace

NamedTensors Parameters(const torch::nn::Module& module) {
  NamedTensors out;
  for (const auto& p : module.named_parameters()) out[p.key()] = p.value();
  return out;
}

void SaveTensors(const Path& path, const NamedTensors& tensors, data::Metadata metadata) {
  std::map<std::string, data::Tensor> out;
  std::vector<at::Tensor> alive;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor cpu = tensor.detach().to(at::kCPU).contiguous();
    alive.push_back(cpu);
    out[name] = {TypeOf(cpu), cpu.sizes().vec(), {static_cast<const char*>(cpu.data_ptr()), static_cast<size_t>(cpu.nbytes())}};
  }
  data::WriteSafetensors(path, out, std::move(metadata));
}

void LoadTensors(const Path& path, const NamedTensors& into) {
  const at::NoGradGuard no_grad;
  const data::Safetensors file(path);
  file.Verify();
  for (const auto& [name, tensor] : file.tensors())
    if (!into.contains(name)) throw UserError(path.string(), "the tensors of this model", "one more: " + name + " " + Shape(tensor.shape));
  for (const auto& [name, tensor] : into) {
    const data::Tensor& stored = file.Find(name);
    if (stored.shape != tensor.sizes().vec() || stored.type != TypeOf(tensor))
      throw UserError(path.string(), name + " of shape " + Shape(tensor.sizes().vec()) + " and type " + std::string(Name(TypeOf(tensor))),
                      Shape(stored.shape) + " of type " + std::string(Name(stored.type)));
    at::Tensor cpu = at::empty(tensor.sizes(), tensor.options().device(at::kCPU).requires_grad(false));
    if (!stored.bytes.empty()) std::memcpy(cpu.data_ptr(), stored.bytes.data(), stored.bytes.size());
    tensor.detach().copy_(cpu);
  }
}

}  // namespace attend::train
