#include "attend/nn/fusion.h"

#include <ATen/ops/tanh.h>

#include "attend/nn/fusions.inc"

namespace attend::nn {

using at::Tensor;

void DecoderState::ForEach(const std::function<void(Tensor&)>& f) {
  for (RecurrentState& layer : layers) layer.ForEach(f);
  for (Tensor* t : {&attention.coverage, &feed})
    if (t->defined()) f(*t);
}

CellStack::CellStack(spec::Cell cell, int64_t layers, int64_t inputs, int64_t size, bool layer_norm, double dropout,
                     const spec::Intra& intra)
    : dropout_(dropout) {
  for (int64_t i = 0; i < layers; i++)
    layers_.push_back(
        register_module(std::to_string(i), std::make_shared<Recurrent>(cell, i == 0 ? inputs : size, size, layer_norm, intra)));
}

Tensor CellStack::Run(const Tensor& y, const Tensor& gates, DecoderState& state, Context& context) const {
  Tensor states;
  for (size_t i = 0; i < layers_.size(); i++) {
    // The first layer's gates are given; the layers above read the states below, (T, B, size), dropped out batch-first.
    const Tensor x = i == 0 ? y : Dropout(states.transpose(0, 1), dropout_, *layers_[i], "input", context).transpose(0, 1);
    states = layers_[i]->Run(x, i == 0 ? gates : layers_[i]->Inputs(x), state.layers[i], {}, false, context, MapKind::output);
  }
  return states;
}

CellStack::Loop::Loop(const CellStack& stack, Context& context) : stack_(stack), context_(context) {
  for (const auto& layer : stack.layers_) layers_.emplace_back(*layer, context, MapKind::output);
}

Tensor CellStack::Loop::Above(DecoderState& state, int64_t position) {
  for (size_t i = 1; i < layers_.size(); i++) {
    const Tensor below = Dropout(state.layers[i - 1].h, stack_.dropout_, *stack_.layers_[i], "input", context_, position);
    layers_[i].Step(layers_[i].Project(below), {below, position}, state.layers[i]);
  }
  return state.layers.back().h;
}

void CellStack::Loop::Finish() {
  for (Recurrent::Loop& layer : layers_) layer.Finish();
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

int64_t QuerySize(spec::Fusion kind, const FusionSizes& sizes) {
  switch (kind) {
#define ATTEND_FUSION(name, ...) \
  case spec::Fusion::name:       \
    return fusions::name::QuerySize(sizes);
#include "attend/spec/fusions.def"
#undef ATTEND_FUSION
  }
  return 0;
}

}  // namespace attend::nn
