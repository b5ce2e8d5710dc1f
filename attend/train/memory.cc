#include "attend/train/memory.h"

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>

namespace attend::train {
namespace {

// Counts what tensors of this thread hold, as torch's profiler does.
class Meter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t bytes, size_t, size_t, c10::Device) override {
    held_ += bytes;
    most_ = std::max(most_, held_);
  }
  bool memoryProfilingEnabled() const override { return true; }
  int64_t most() const { return most_; }

 private:
  int64_t held_ = 0, most_ = 0;
};

constexpr int64_t kParts = 4;  // of a worker's share, of which one is tried

int64_t Numbers(const NamedTensors& tensors) {
  int64_t n = 0;
  for (const auto& [name, t] : tensors) n += t.numel();
  return n;
}

}  // namespace

int64_t EstimateMemory(Trainable& task, const TrainOptions& options, const data::Batch& batch, int workers) {
  const NamedTensors parameters = Parameters(task.module()), state = task.State();
  const int64_t of_state = Numbers(state), weights = Numbers(parameters);
  // A gradient for each worker is part of what is seen. Beside it: weights, moments, moving average or snapshots, and copies of the best,
  // candidate and present weights.
  const int64_t moments = options.optimiser == Optimiser::sgd ? 1 : 2;
  const int64_t copies = 1 + moments + (options.ema > 0 ? 1 : 0) + options.average + 3;

  NamedTensors kept;
  for (const auto& [name, t] : state) kept[name] = t.clone();
  const auto rows = static_cast<int64_t>(batch.examples.size());
  const int64_t shares = std::clamp<int64_t>(workers, 1, rows), parts = std::min(rows, shares * kParts);
  const auto meter = std::make_shared<Meter>();
  int64_t gradients = 0;
  {
    const data::Batch part = Slice(batch, 0, parts);
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, meter);
    nn::Context context;
    context.training = true;
    context.step = std::numeric_limits<uint64_t>::max();  // no update's
    context.recompute = options.gradient_checkpointing;
    context.examples = part.examples;
    std::vector<at::Tensor> inputs;
    for (const auto& [name, t] : parameters) inputs.push_back(t);
    const models::LossSum loss = task.Loss(part, context);
    const auto of = torch::autograd::grad({loss.total}, inputs, {}, std::nullopt, false, true);
    for (const at::Tensor& t : of) gradients += t.defined() ? t.numel() * t.element_size() : 0;
  }
  const at::NoGradGuard no_grad;
  for (const auto& [name, t] : state) t.copy_(kept.at(name));
  const int64_t of_rows = std::max<int64_t>(0, meter->most() - gradients) * parts;  // all rows, whichever worker has them
  return 4 * (copies * weights + of_state) + shares * gradients + of_rows;
}

}  // namespace attend::train
