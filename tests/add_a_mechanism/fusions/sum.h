#pragma once

#include "attend/nn/fusion.h"

namespace attend::nn::fusions {

// The vocabulary is predicted from s_t + W c_t: the example of "add a fusion" in CONTRIBUTING.md.
class sum : public Fusion {
 public:
  explicit sum(const FusionSizes& sizes) : size_(sizes.state) {
    context_ = register_module("context", std::make_shared<Linear>(sizes.context, sizes.state, false));
  }
  bool stepwise() const override { return false; }  // c_t follows from s_t: all steps at once in training
  int64_t output_size() const override { return size_; }

  std::unique_ptr<Fusion::Loop> Start(const CellStack& cells, Attention::Loop* attention, Context& context) const override {
    struct Walk : Fusion::Loop {
      using Fusion::Loop::Loop;
      Frame Step(const StepInput& in, DecoderState& state) override {
        First(in, in.gates, state);
        const at::Tensor s = cells.Above(state, in.position);
        return {s, attention->Step(s, in.position)};
      }
    };
    return std::make_unique<Walk>(cells, attention, context);
  }
  at::Tensor Output(const Frame& frame, const at::Tensor&) const override { return frame.s + context_->Forward(frame.c); }

 private:
  int64_t size_;
  std::shared_ptr<Linear> context_;
};

}  // namespace attend::nn::fusions
