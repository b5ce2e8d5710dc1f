#pragma once

#include "attend/nn/fusion.h"

namespace attend::nn::fusions {

// Nematus (Sennrich et al. 2017): s' = cell_1(y_{t-1}, s_{t-1}); c_t from s'; s_t = cell_2(c_t, s'); deep output.
class conditional : public Fusion {
 public:
  explicit conditional(const FusionSizes& sizes) : size_(sizes.embedding) {
    second_ = register_module("second", std::make_shared<Recurrent>(sizes.cell, sizes.context, sizes.state, sizes.layer_norm));
    output_ = register_module("output", std::make_shared<DeepOutput>(sizes));
  }
  bool stepwise() const override { return true; }
  int64_t output_size() const override { return size_; }

  std::unique_ptr<Fusion::Loop> Start(const CellStack& cells, Attention::Loop* attention, Context& context) const override {
    struct Walk : Fusion::Loop {
      Recurrent::Loop second;
      Walk(const CellStack& stack, Attention::Loop* a, const Recurrent& cell, Context& pass)
          : Fusion::Loop(stack, a, pass), second(cell, pass, MapKind::output) {}
      Frame Step(const StepInput& in, DecoderState& state) override {
        const CellState between = cells.first().Cell(in.gates, cells.first().Start(in.Intra(), state.layers[0]));
        const at::Tensor c = attention->Step(between.h, in.position);
        cells.first().Carry(in.Intra(), second.Cell(second.Project(c), between), state.layers[0]);
        return {cells.Above(state, in.position), c};
      }
    };
    return std::make_unique<Walk>(cells, attention, *second_, context);
  }
  at::Tensor Output(const Frame& frame, const at::Tensor& y) const override { return output_->Forward(frame, y); }

 private:
  int64_t size_;
  std::shared_ptr<Recurrent> second_;
  std::shared_ptr<DeepOutput> output_;
};

}  // namespace attend::nn::fusions
