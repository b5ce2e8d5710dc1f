#pragma once

#include <ATen/ops/cat.h>

#include "attend/nn/fusion.h"

namespace attend::nn::fusions {

// Robertson 2017: c_t from [y_{t-1}; s_{t-1}], of which score `position` makes a score for each place of the source; a combining layer
// makes the cell's input of both, s_t = cell(W [y_{t-1}; c_t], s_{t-1}); the vocabulary is predicted from s_t.
class combine : public Fusion {
 public:
  explicit combine(const FusionSizes& sizes) : size_(sizes.state) {
    combine_ = register_module("combine", std::make_shared<Linear>(sizes.embedding + sizes.context, sizes.embedding));
  }
  bool stepwise() const override { return true; }
  int64_t output_size() const override { return size_; }
  static int64_t QuerySize(const FusionSizes& sizes) { return sizes.embedding + sizes.state; }

  std::unique_ptr<Fusion::Loop> Start(const CellStack& cells, Attention::Loop* attention, Context& context) const override {
    struct Walk : Fusion::Loop {
      ops::StepLinear combine;
      Walk(const CellStack& stack, Attention::Loop* a, const Linear& w, Context& pass)
          : Fusion::Loop(stack, a, pass), combine(w.weight(), w.bias()) {}
      Frame Step(const StepInput& in, DecoderState& state) override {
        const at::Tensor c = attention->Step(at::cat({in.y, state.layers[0].h}, 1), in.position);
        const at::Tensor x = combine(at::cat({in.y, c}, 1));
        cells.first().Step(cells.first().Project(x), {x, in.position}, state.layers[0]);
        return {cells.Above(state, in.position), c};
      }
    };
    return std::make_unique<Walk>(cells, attention, *combine_, context);
  }
  at::Tensor Output(const Frame& frame, const at::Tensor&) const override { return frame.s; }

 private:
  int64_t size_;
  std::shared_ptr<Linear> combine_;
};

}  // namespace attend::nn::fusions
