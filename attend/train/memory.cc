#include "attend/train/memory.h"

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>

#include "attend/base/block_cache.h"
#include "attend/base/process_memory.h"

namespace attend::train {
namespace {

// Counts what tensors of this thread hold, as torch's profiler does.
class Meter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t bytes, size_t used, size_t held, c10::Device) override {
    now_ += bytes;
    most_ = std::max(most_, now_);
    kept_ = static_cast<int64_t>(held - used);
  }
  bool memoryProfilingEnabled() const override { return true; }
  int64_t most() const { return most_; }
  int64_t kept() const { return kept_; }  // for the next tensors

 private:
  int64_t now_ = 0, most_ = 0, kept_ = 0;
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
  const int64_t weights = Numbers(parameters);
  const int64_t copies = 3 + options.average;  // of the best, candidate and present weights, and snapshots

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
  const int64_t tensors = 4 * copies * weights + shares * gradients + of_rows;
  const int64_t present = ProcessMemory() - meter->kept();  // after the pass, which left packed weights and the like behind
  return present + static_cast<int64_t>(BlockCache::Most(static_cast<size_t>(tensors)));
}

}  // namespace attend::train
