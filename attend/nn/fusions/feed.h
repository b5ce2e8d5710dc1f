#pragma once

#include <ATen/ops/cat.h>
#include <ATen/ops/tanh.h>

#include "attend/nn/fusion.h"

namespace attend::nn::fusions {

// Luong et al. 2015, section 3.3 (input feeding): as `output`, and the cell reads [y_{t-1}; h̃_{t-1}].
class feed : public Fusion {
 public:
  explicit feed(const FusionSizes& sizes) : size_(sizes.state) {
    // W [y; h̃] = W_y y + W_h h̃: the first part is the cell's own input, this is the second.
    fed_ = register_module("fed", std::make_shared<Linear>(sizes.state, ops::Gates(sizes.cell) * sizes.state, false));
    combine_ = register_module("combine", std::make_shared<Linear>(sizes.context + sizes.state, sizes.state));
  }
  bool stepwise() const override { return true; }
  bool feeds() const override { return true; }
  int64_t output_size() const override { return size_; }

  std::unique_ptr<Fusion::Loop> Start(const CellStack& cells, Attention::Loop* attention, Context& context) const override {
    struct Walk : Fusion::Loop {
      ops::StepLinear fed, combine;
      Walk(const CellStack& stack, Attention::Loop* a, const Linear& f, const Linear& w, Context& pass)
          : Fusion::Loop(stack, a, pass), fed(f.weight(), f.bias()), combine(w.weight(), w.bias()) {}
      Frame Step(const StepInput& in, DecoderState& state) override {
        First(in, fed(state.feed, in.gates), state);
        const at::Tensor s = cells.Above(state, in.position), c = attention->Step(s, in.position);
        state.feed = at::tanh(combine(at::cat({c, s}, -1)));
        return {state.feed, c};  // h̃ is what the output is made of: computed once, here
      }
    };
    return std::make_unique<Walk>(cells, attention, *fed_, *combine_, context);
  }
  at::Tensor Output(const Frame& frame, const at::Tensor&) const override { return frame.s; }

 private:
  int64_t size_;
  std::shared_ptr<Linear> fed_, combine_;
};

}  // namespace attend::nn::fusions
