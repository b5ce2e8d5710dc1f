#include "attend/nn/recurrent_encoder.h"

#include <ATen/ops/cat.h>

namespace attend::nn {

using at::Tensor;

RecurrentEncoder::RecurrentEncoder(const RecurrentEncoderOptions& options, int64_t vocabulary, int64_t padding) : options_(options) {
  embedding_ = register_module("embedding", std::make_shared<Embedding>(vocabulary, options.embedding, padding));
  for (int64_t i = 0; i < options.layers; i++) {
    const int64_t inputs = i == 0 ? options.embedding : size();
    const auto layer = [&](const char* direction) {
      return register_module(std::string(direction) + std::to_string(i),
                             std::make_shared<Recurrent>(options.cell, inputs, options.size, options.layer_norm, options.intra));
    };
    forward_.push_back(layer("forward"));
    if (options.bidirectional) backward_.push_back(layer("backward"));
  }
}

Memory RecurrentEncoder::Forward(const Tensor& ids, const Tensor& lengths, Context& context) const {
  Tensor x = Dropout(embedding_->Forward(ids), options_.embedding_dropout, *embedding_, "values", context);  // (B, S, E)
  Tensor summary;
  for (size_t i = 0; i < forward_.size(); i++) {
    const Tensor steps = x.transpose(0, 1).contiguous();  // (S, B, inputs): a step's rows lie together
    const auto run = [&](const Recurrent& layer, bool reverse) {
      RecurrentState state = layer.Zero(ids.size(0));
      const Tensor states = layer.Run(steps, layer.Inputs(steps), state, lengths, reverse, context, MapKind::source);
      return std::pair(states, state.h);
    };
    Tensor states;
    std::tie(states, summary) = run(*forward_[i], false);
    if (options_.bidirectional) {
      const auto [back, first] = run(*backward_[i], true);
      states = at::cat({states, back}, 2);
      summary = at::cat({summary, first}, 1);
    }
    x = Dropout(states.transpose(0, 1).contiguous(), options_.dropout, *forward_[i], "states", context);  // (B, S, size)
  }
  return {x, lengths, summary};
}

}  // namespace attend::nn
