#pragma once

#include <ATen/ops/cat.h>

#include "attend/nn/intra.h"

namespace attend::nn::intras {

// Cheng et al. 2016, equations 5 to 9: the cell starts from h~_t (and c~_t), what attention reads of its own earlier states by the query
// [x_t; h~_{t-1}]. Before the first step there is no past, and the initial state stands for it.
class lstmn : public Intra {
 public:
  lstmn(const spec::LstmnIntra& options, const IntraSizes& sizes) {
    const int64_t carried = sizes.state * (sizes.memory ? 2 : 1);
    past_ = register_module(
        "past", std::make_shared<PastAttention>(options.attention, sizes.inputs + sizes.state, sizes.state, sizes.state, carried, carried));
  }

  std::unique_ptr<Intra::Loop> Start(Context& context, MapKind kind) const override {
    struct Walk : Intra::Loop {
      const PastAttention& past;
      PastAttention::Loop loop;
      Walk(const PastAttention& p, Context& context, MapKind kind) : past(p), loop(p, context, kind) {}

      CellState Before(const IntraStep& step, RecurrentState& state) override {
        if (!state.past.value.defined()) {
          state.summary = state.h;
          loop.Skip(state.h);
          return state;
        }
        const at::Tensor read = loop.Read(at::cat({step.x, state.summary}, 1), step.position, state);
        if (!state.c.defined()) {
          state.summary = read;
          return {read, {}};
        }
        const auto parts = read.chunk(2, 1);
        state.summary = parts[0].contiguous();
        return {state.summary, parts[1].contiguous()};
      }
      CellState After(const IntraStep&, RecurrentState& state, const CellState& after) override {
        past.Remember(state, after.h, after.c.defined() ? at::cat({after.h, after.c}, 1) : after.h);
        return after;
      }
      void Finish(const at::Tensor& order) override { loop.Finish(order); }
    };
    return std::make_unique<Walk>(*past_, context, kind);
  }

 private:
  std::shared_ptr<PastAttention> past_;
};

inline std::shared_ptr<Intra> Make(const spec::LstmnIntra& o, const IntraSizes& sizes) { return std::make_shared<lstmn>(o, sizes); }

}  // namespace attend::nn::intras
