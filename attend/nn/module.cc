#include "attend/nn/module.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_qr.h>

#include <cmath>

#include "attend/kernels/random.h"

namespace attend::nn {
namespace {

using at::Tensor;

// (rows, columns) of standard normal draws (Box and Muller 1958), on the CPU whatever the device.
Tensor Normal(int64_t rows, int64_t columns, random::Stream& draw) {
  Tensor out = at::empty({rows, columns}, at::kFloat);
  float* p = out.data_ptr<float>();
  for (int64_t i = 0; i < rows * columns; i++) {
    const double u = 1.0 - draw.UniformDouble(), v = draw.UniformDouble();
    p[i] = static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * M_PI * v));
  }
  return out;
}

void FillBlock(const Tensor& block, const Init& init, random::Stream& draw) {
  const int64_t rows = block.size(0), columns = block.dim() > 1 ? block.numel() / rows : 1;
  Tensor values;
  switch (init.kind) {
    case Init::Kind::normal:
      values = Normal(rows, columns, draw) * init.scale;
      break;
    case Init::Kind::xavier: {
      const double bound = init.scale * std::sqrt(6.0 / static_cast<double>(rows + columns));
      values = at::empty({rows, columns}, at::kFloat);
      float* p = values.data_ptr<float>();
      for (int64_t i = 0; i < rows * columns; i++) p[i] = static_cast<float>((2.0 * draw.UniformDouble() - 1.0) * bound);
      break;
    }
    case Init::Kind::orthogonal: {
      const bool wide = columns > rows;
      const auto [q, r] = at::linalg_qr(wide ? Normal(columns, rows, draw) : Normal(rows, columns, draw));
      values = q * r.diagonal().sign().unsqueeze(0) * init.scale;  // the sign makes the distribution uniform (Mezzadri 2007)
      if (wide) values = values.t();
      break;
    }
    default:
      break;
  }
  block.copy_(values.reshape(block.sizes()));
}

void Fill(const Tensor& parameter, const Init& init, random::Stream draw) {
  c10::NoGradGuard no_grad;
  Tensor data = parameter.detach();
  switch (init.kind) {
    case Init::Kind::zeros:
      data.zero_();
      return;
    case Init::Kind::ones:
      data.fill_(1);
      return;
    case Init::Kind::forget_gate:
      data.zero_();
      data.chunk(init.blocks)[1].fill_(1);
      return;
    default:
      for (const Tensor& block : data.chunk(init.blocks)) FillBlock(block, init, draw);
  }
}

}  // namespace

Tensor Module::AddParameter(const std::string& name, at::IntArrayRef shape, Init init) {
  init_[name] = init;
  return register_parameter(name, at::empty(shape, at::kFloat));
}

void AssignPaths(Module& root) {
  root.apply([](const std::string& path, torch::nn::Module& module) {
    if (auto* own = dynamic_cast<Module*>(&module)) own->path_ = path;
  });
}

void Materialise(Module& root, uint64_t seed) {
  AssignPaths(root);
  root.apply([seed](const std::string& path, torch::nn::Module& module) {
    auto* own = dynamic_cast<Module*>(&module);
    if (!own) return;
    for (auto& p : own->named_parameters(/*recurse=*/false)) {
      const std::string name = (path.empty() ? "" : path + ".") + p.key();
      Fill(p.value(), own->init_.at(p.key()), random::Stream(random::RowKey(seed, random::Purpose(name + ":init"), 0, 0)));
    }
  });
}

}  // namespace attend::nn
