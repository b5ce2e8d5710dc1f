#pragma once

#include "attend/nn/fusion.h"

namespace attend::nn::fusions {

// Bahdanau et al. 2015: c_t from s_{t-1}; the cell reads [y_{t-1}; c_t]; deep output.
class input : public Fusion {
 public:
  explicit input(const FusionSizes& sizes) : size_(sizes.embedding) {
    // W [y; c] = W_y y + W_c c: the first part is the cell's own input, this is the second.
    context_ = register_module("context", std::make_shared<Linear>(sizes.context, ops::Gates(sizes.cell) * sizes.state, false));
    output_ = register_module("output", std::make_shared<DeepOutput>(sizes));
  }
  bool stepwise() const override { return true; }
  int64_t output_size() const override { return size_; }

  std::unique_ptr<Fusion::Loop> Start(const CellStack& cells, Attention::Loop* attention, Context& context) const override {
    struct Walk : Fusion::Loop {
      ops::StepLinear context;
      Walk(const CellStack& stack, Attention::Loop* a, const Linear& w, Context& pass)
          : Fusion::Loop(stack, a, pass), context(w.weight(), w.bias()) {}
      Frame Step(const StepInput& in, DecoderState& state) override {
        const at::Tensor c = attention->Step(state.layers.back().h, in.position);
        First(in, context(c, in.gates), state);
        return {cells.Above(state, in.position), c};
      }
    };
    return std::make_unique<Walk>(cells, attention, *context_, context);
  }
  at::Tensor Output(const Frame& frame, const at::Tensor& y) const override { return output_->Forward(frame, y); }

 private:
  int64_t size_;
  std::shared_ptr<Linear> context_;
  std::shared_ptr<DeepOutput> output_;
};

}  // namespace attend::nn::fusions
