#pragma once

#include "attend/nn/fusion.h"

namespace attend::nn::fusions {

// The context is multiplied into the recurrent state, which is carried on so: s' = cell(y_{t-1}, s_{t-1}), c_t from s', s_t = c_t * s'.
// The vocabulary is predicted from s_t.
class gate : public Fusion {
 public:
  explicit gate(const FusionSizes& sizes) : size_(sizes.state) {
    if (sizes.context != sizes.state) read_ = register_module("read", std::make_shared<Linear>(sizes.context, sizes.state));
  }
  bool stepwise() const override { return true; }
  int64_t output_size() const override { return size_; }

  std::unique_ptr<Fusion::Loop> Start(const CellStack& cells, Attention::Loop* attention, Context& context) const override {
    struct Walk : Fusion::Loop {
      std::optional<ops::StepLinear> read;
      Walk(const CellStack& stack, Attention::Loop* a, const Linear* w, Context& pass) : Fusion::Loop(stack, a, pass) {
        if (w) read.emplace(w->weight(), w->bias());
      }
      Frame Step(const StepInput& in, DecoderState& state) override {
        CellState now = cells.first().Cell(in.gates, cells.first().Start(in.Intra(), state.layers[0]));
        const at::Tensor c = attention->Step(now.h, in.position);
        now.h = (read ? (*read)(c) : c) * now.h;
        cells.first().Carry(in.Intra(), now, state.layers[0]);
        return {cells.Above(state, in.position), c};
      }
    };
    return std::make_unique<Walk>(cells, attention, read_.get(), context);
  }
  at::Tensor Output(const Frame& frame, const at::Tensor&) const override { return frame.s; }

 private:
  int64_t size_;
  std::shared_ptr<Linear> read_;
};

}  // namespace attend::nn::fusions
