#pragma once

#include "attend/nn/intra.h"

namespace attend::nn::intras {

// The new state is multiplied by what attention reads of the inputs so far, x_1 ... x_t, and carried on so: h_t = c_t * h'.
class gate : public Intra {
 public:
  gate(const spec::GateIntra& options, const IntraSizes& sizes) {
    past_ = register_module(
        "past", std::make_shared<PastAttention>(options.attention, sizes.state, sizes.inputs, sizes.state, sizes.inputs, sizes.state));
  }

  std::unique_ptr<Intra::Loop> Start(Context& context, MapKind kind) const override {
    struct Walk : Intra::Loop {
      const PastAttention& past;
      PastAttention::Loop loop;
      Walk(const PastAttention& p, Context& context, MapKind kind)
          : past(p), loop(p, context, kind == MapKind::output ? MapKind::input : kind) {}

      CellState Before(const IntraStep&, RecurrentState& state) override { return state; }
      CellState After(const IntraStep& step, RecurrentState& state, const CellState& after) override {
        past.Remember(state, step.x);
        return {loop.Read(after.h, step.position, state) * after.h, after.c};
      }
      void Finish(const at::Tensor& order) override { loop.Finish(order); }
    };
    return std::make_unique<Walk>(*past_, context, kind);
  }

 private:
  std::shared_ptr<PastAttention> past_;
};

inline std::shared_ptr<Intra> Make(const spec::GateIntra& o, const IntraSizes& sizes) { return std::make_shared<gate>(o, sizes); }

}  // namespace attend::nn::intras
