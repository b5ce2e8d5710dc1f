#pragma once

#include <torch/torch.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "attend/nn/recurrent_decoder.h"
#include "attend/nn/recurrent_encoder.h"
#include "attend/nn/transformer_decoder.h"
#include "attend/nn/transformer_encoder.h"
#include "gtest/gtest.h"

// A tiny encoder and decoder, and a batch for them.
namespace attend::nn {

constexpr int64_t kVocabulary = 7, kPadding = 0, kState = 8;  // the encoder's states are 4 + 4: `dot` compares them with the decoder's

template <class T>
std::vector<T> All() {
  std::vector<T> out;
  for (const Choice& c : Choices(T{})) out.push_back(static_cast<T>(c.value));
  return out;
}

inline RecurrentEncoderOptions TinyEncoder(spec::Cell cell, int64_t layers = 1, bool layer_norm = false, double dropout = 0) {
  return {.cell = cell,
          .layers = layers,
          .size = kState / 2,
          .bidirectional = true,
          .embedding = 3,
          .layer_norm = layer_norm,
          .embedding_dropout = dropout,
          .dropout = dropout};
}

inline RecurrentDecoderOptions TinyDecoder(spec::Cell cell, spec::Fusion fusion, spec::Score score = spec::Score::additive,
                                           int64_t layers = 1, bool layer_norm = false, double dropout = 0) {
  RecurrentDecoderOptions o;
  o.cell = cell;
  o.layers = layers;
  o.size = kState;
  o.embedding = 3;
  o.fusion = fusion;
  o.attention.score = score;
  o.attention.dropout = dropout;
  o.attention_size = 6;
  o.layer_norm = layer_norm;
  o.embedding_dropout = o.dropout = dropout;
  return o;
}

struct Translator : Module {
  std::shared_ptr<Encoder> encoder;
  std::shared_ptr<SequenceDecoder> decoder;

  template <class EncoderOptions, class DecoderOptions>
  Translator(const EncoderOptions& e, const DecoderOptions& d, at::ScalarType type = at::kDouble) {
    encoder = register_module("encoder", Make(e));
    decoder = register_module("decoder", Make(d, encoder->size()));
    Materialise(*this, 1);
    // Zeros and ones would hide what biases and norms do.
    const at::NoGradGuard no_grad;
    torch::manual_seed(5);
    for (at::Tensor& p : parameters()) p.add_(0.3 * torch::randn_like(p));
    to(type);
  }

  at::Tensor Forward(const at::Tensor& source, const at::Tensor& lengths, const at::Tensor& inputs, Context& context) const {
    return decoder->Forward(encoder->Forward(source, lengths, context), inputs, context);
  }

 private:
  static std::shared_ptr<Encoder> Make(const RecurrentEncoderOptions& o) {
    return std::make_shared<RecurrentEncoder>(o, kVocabulary, kPadding);
  }
  static std::shared_ptr<Encoder> Make(const TransformerEncoderOptions& o) {
    return std::make_shared<TransformerEncoder>(o, kVocabulary, kPadding);
  }
  static std::shared_ptr<SequenceDecoder> Make(const RecurrentDecoderOptions& o, int64_t memory) {
    return std::make_shared<RecurrentDecoder>(o, memory, kVocabulary, kPadding);
  }
  static std::shared_ptr<SequenceDecoder> Make(const TransformerDecoderOptions& o, int64_t memory) {
    return std::make_shared<TransformerDecoder>(o, memory, kVocabulary, kPadding);
  }
};

// ids (B, T) int64 in [1, kVocabulary), padding beyond the lengths.
inline at::Tensor Ids(const std::vector<int64_t>& lengths, uint64_t seed) {
  torch::manual_seed(seed);
  const int64_t columns = *std::max_element(lengths.begin(), lengths.end());
  at::Tensor ids = torch::randint(1, kVocabulary, {static_cast<int64_t>(lengths.size()), columns}, torch::kLong);
  for (size_t i = 0; i < lengths.size(); i++) ids[static_cast<int64_t>(i)].slice(0, lengths[i]).fill_(kPadding);
  return ids;
}

inline Context Pass(bool training, uint64_t seed, uint64_t step, std::vector<int64_t> examples) {
  Context context;
  context.training = training;
  context.seed = seed;
  context.step = step;
  context.examples = std::move(examples);
  return context;
}

inline double Distance(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return a.numel() ? (a.to(torch::kDouble) - b.to(torch::kDouble)).abs().max().item<double>() : 0;
}

// Directional central differences of a scalar function of each parameter.
inline void CheckGradients(const torch::nn::Module& module, const std::function<at::Tensor()>& loss) {
  std::vector<std::string> names;
  std::vector<at::Tensor> parameters;
  for (const auto& p : module.named_parameters()) {
    names.push_back(p.key());
    parameters.push_back(p.value());
  }
  const auto gradients = torch::autograd::grad({loss()}, parameters, {}, std::nullopt, false, true);
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters.size(); i++) {
    const at::Tensor direction = torch::randn_like(parameters[i]), before = parameters[i].clone();
    const auto at = [&](double h) {
      parameters[i].copy_(before + h * direction);
      return loss().item<double>();
    };
    // Of fourth order: norms of so few units bend sharply.
    const double h = 1e-5, numeric = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
    parameters[i].copy_(before);
    const double exact = gradients[i].defined() ? (gradients[i] * direction).sum().item<double>() : 0;
    EXPECT_NEAR(exact, numeric, 1e-6 * std::max(1.0, std::abs(exact))) << names[i];
    EXPECT_TRUE(gradients[i].defined()) << names[i] << " takes no part";
  }
}

}  // namespace attend::nn
