#pragma once

#include "attend/nn/fusion.h"

namespace attend::nn::fusions {

// No attention: the encoder's last state starts the decoder and is all it learns of the source (Sutskever et al. 2014).
class none : public Fusion {
 public:
  explicit none(const FusionSizes& sizes) : size_(sizes.embedding) {
    output_ = register_module("output", std::make_shared<DeepOutput>(sizes));
  }
  bool stepwise() const override { return false; }
  bool attends() const override { return false; }
  int64_t output_size() const override { return size_; }

  std::unique_ptr<Fusion::Loop> Start(const CellStack& cells, Attention::Loop*, Context& context) const override {
    struct Walk : Fusion::Loop {
      using Fusion::Loop::Loop;
      Frame Step(const StepInput& in, DecoderState& state) override {
        First(in, in.gates, state);
        return {cells.Above(state, in.position), {}};
      }
    };
    return std::make_unique<Walk>(cells, nullptr, context);
  }
  at::Tensor Output(const Frame& frame, const at::Tensor& y) const override { return output_->Forward(frame, y); }

 private:
  int64_t size_;
  std::shared_ptr<DeepOutput> output_;
};

}  // namespace attend::nn::fusions
