#include "attend/nn/fusion.h"

#include <ATen/ops/tanh.h>

#include "attend/nn/fusions.inc"

namespace attend::nn {

using at::Tensor;

std::vector<Tensor*> DecoderState::Tensors() {
  std::vector<Tensor*> all;
  for (CellState& layer : layers) {
    all.push_back(&layer.h);
    if (layer.c.defined()) all.push_back(&layer.c);
  }
  if (feed.defined()) all.push_back(&feed);
  return all;
}

CellStack::CellStack(spec::Cell cell, int64_t layers, int64_t inputs, int64_t size, bool layer_norm, double dropout) : dropout_(dropout) {
  for (int64_t i = 0; i < layers; i++)
    layers_.push_back(register_module(std::to_string(i), std::make_shared<Recurrent>(cell, i == 0 ? inputs : size, size, layer_norm)));
}

Tensor CellStack::Run(const Tensor& gates, DecoderState& state, Context& context) const {
  Tensor states;
  for (size_t i = 0; i < layers_.size(); i++) {
    // The first layer's gates are given; the layers above read the states below, (T, B, size), dropped out batch-first.
    Tensor below = states;
    if (i > 0) below = Dropout(states.transpose(0, 1), dropout_, *layers_[i], "input", context).transpose(0, 1);
    const auto result =
        i == 0 ? layers_[0]->RunGates(gates, state.layers[0], {}, false) : layers_[i]->Run(below, state.layers[i], {}, false);
    states = result.states;
    state.layers[i] = result.last;
  }
  return states;
}

CellStack::Loop::Loop(const CellStack& stack, Context& context) : stack_(stack), context_(context) {
  for (const auto& layer : stack.layers_) layers_.emplace_back(*layer);
}

Tensor CellStack::Loop::Above(DecoderState& state, int64_t position) const {
  for (size_t i = 1; i < layers_.size(); i++) {
    const Tensor below = Dropout(state.layers[i - 1].h, stack_.dropout_, *stack_.layers_[i], "input", context_, position);
    state.layers[i] = layers_[i].Step(layers_[i].Project(below), state.layers[i]);
  }
  return state.layers.back().h;
}

DeepOutput::DeepOutput(const FusionSizes& sizes) {
  state_ = register_module("state", std::make_shared<Linear>(sizes.state, sizes.embedding));
  if (sizes.context) context_ = register_module("context", std::make_shared<Linear>(sizes.context, sizes.embedding, false));
  embedding_ = register_module("embedding", std::make_shared<Linear>(sizes.embedding, sizes.embedding, false));
}

Tensor DeepOutput::Forward(const Frame& frame, const Tensor& y) const {
  Tensor sum = state_->Forward(frame.s) + embedding_->Forward(y);
  if (context_) sum = sum + context_->Forward(frame.c);
  return at::tanh(sum);
}

std::shared_ptr<Fusion> MakeFusion(spec::Fusion kind, const FusionSizes& sizes) {
  switch (kind) {
#define ATTEND_FUSION(name, ...) \
  case spec::Fusion::name:       \
    return std::make_shared<fusions::name>(sizes);
#include "attend/spec/fusions.def"
#undef ATTEND_FUSION
  }
  return nullptr;
}

}  // namespace attend::nn
