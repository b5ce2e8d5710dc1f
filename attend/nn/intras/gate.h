#pragma once

#include "attend/nn/intra.h"

namespace attend::nn::intras {

// The new state is multiplied by what attention reads of the inputs so far, x_1 ... x_t, and carried on so: h_t = c_t * h'.
class gate : public Intra {
 public:
  gate(const spec::GateIntra& options, const IntraSizes& sizes) {
    attention_ =
        register_module("attention", std::make_shared<Attention>(options.attention, sizes.state, sizes.inputs, sizes.state, sizes.inputs));
    if (attention_->context_size() != sizes.state)
      read_ = register_module("read", std::make_shared<Linear>(attention_->context_size(), sizes.state));
  }

  std::unique_ptr<Intra::Loop> Start(Context& context, MapKind kind) const override {
    struct Walk : Intra::Loop {
      const gate& layer;
      AttentionMemory past;
      AttentionState attention;
      Attention::Loop loop;
      Walk(const gate& l, Context& context, MapKind kind)
          : layer(l), loop(*l.attention_, past, attention, context, kind == MapKind::output ? MapKind::input : kind) {}

      CellState Before(const IntraStep&, RecurrentState& state) override { return state; }
      CellState After(const IntraStep& step, RecurrentState& state, const CellState& after) override {
        state.past.Append(layer.attention_->Prepare(step.x.unsqueeze(1), {}));
        past = state.past;
        attention = state.attention;
        at::Tensor c = loop.Step(after.h, step.position);
        if (layer.read_) c = layer.read_->Forward(c);
        state.attention = attention;
        return {c * after.h, after.c};
      }
      void Finish(const at::Tensor& order) override { loop.Finish(order); }
    };
    return std::make_unique<Walk>(*this, context, kind);
  }

 private:
  std::shared_ptr<Attention> attention_;
  std::shared_ptr<Linear> read_;
};

inline std::shared_ptr<Intra> Make(const spec::GateIntra& o, const IntraSizes& sizes) { return std::make_shared<gate>(o, sizes); }

}  // namespace attend::nn::intras
