#pragma once

#include <ATen/ops/cat.h>

#include "attend/nn/intra.h"

namespace attend::nn::intras {

// Cheng et al. 2016, equations 5 to 9: the cell starts from h~_t (and c~_t), what attention reads of its own earlier states by the query
// [x_t; h~_{t-1}]. Before the first step there is no past, and the initial state stands for it.
class lstmn : public Intra {
 public:
  lstmn(const spec::LstmnIntra& options, const IntraSizes& sizes) : sizes_(sizes) {
    attention_ = register_module("attention", std::make_shared<Attention>(options.attention, sizes.inputs + sizes.state, sizes.state,
                                                                          sizes.state, sizes.state * (sizes.memory ? 2 : 1)));
    if (const int64_t parts = attention_->context_size(), needed = sizes.state * (sizes.memory ? 2 : 1); parts != needed)
      read_ = register_module("read", std::make_shared<Linear>(parts, needed));
  }

  std::unique_ptr<Intra::Loop> Start(Context& context, MapKind kind) const override {
    struct Walk : Intra::Loop {
      const lstmn& layer;
      AttentionMemory past;
      AttentionState attention;
      Attention::Loop loop;
      Walk(const lstmn& l, Context& context, MapKind kind) : layer(l), loop(*l.attention_, past, attention, context, kind) {}

      CellState Before(const IntraStep& step, RecurrentState& state) override {
        if (!state.past.value.defined()) {
          state.summary = state.h;
          loop.Skip(state.h);
          return state;
        }
        past = state.past;
        attention = state.attention;
        at::Tensor read = loop.Step(at::cat({step.x, state.summary}, 1), step.position);
        if (layer.read_) read = layer.read_->Forward(read);
        state.attention = attention;
        if (!layer.sizes_.memory) {
          state.summary = read;
          return {read, {}};
        }
        state.summary = read.slice(1, 0, layer.sizes_.state).contiguous();
        return {state.summary, read.slice(1, layer.sizes_.state).contiguous()};
      }
      CellState After(const IntraStep&, RecurrentState& state, const CellState& after) override {
        const at::Tensor values = layer.sizes_.memory ? at::cat({after.h, after.c}, 1) : after.h;
        state.past.Append(layer.attention_->Prepare(after.h.unsqueeze(1), {}, values.unsqueeze(1)));
        return after;
      }
      void Finish(const at::Tensor& order) override { loop.Finish(order); }
    };
    return std::make_unique<Walk>(*this, context, kind);
  }

 private:
  IntraSizes sizes_;
  std::shared_ptr<Attention> attention_;
  std::shared_ptr<Linear> read_;
};

inline std::shared_ptr<Intra> Make(const spec::LstmnIntra& o, const IntraSizes& sizes) { return std::make_shared<lstmn>(o, sizes); }

}  // namespace attend::nn::intras
