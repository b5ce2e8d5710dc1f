#pragma once

#include <ATen/ops/cat.h>
#include <ATen/ops/tanh.h>

#include "attend/nn/fusion.h"

namespace attend::nn::fusions {

// Luong et al. 2015, equation 5: c_t from s_t; h̃_t = tanh(W [c_t; s_t]).
class output : public Fusion {
 public:
  explicit output(const FusionSizes& sizes) : size_(sizes.state) {
    combine_ = register_module("combine", std::make_shared<Linear>(sizes.context + sizes.state, sizes.state));
  }
  bool stepwise() const override { return false; }
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
  at::Tensor Output(const Frame& frame, const at::Tensor&) const override {
    return at::tanh(combine_->Forward(at::cat({frame.c, frame.s}, -1)));
  }

 private:
  int64_t size_;
  std::shared_ptr<Linear> combine_;
};

}  // namespace attend::nn::fusions
