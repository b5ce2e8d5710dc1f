#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "attend/base/enum.h"
#include "attend/config/one_or_many.h"
#include "attend/spec/attention_spec.h"
#include "attend/spec/positions.h"

namespace attend::nn {

enum class NormKind { layer, rms };
inline std::span<const Choice> Choices(NormKind) {
  static constexpr Choice kChoices[] = {
      {"layer", static_cast<int>(NormKind::layer), "LayerNorm: (x - mean) / deviation, times a weight, plus a bias (Ba et al. 2016)"},
      {"rms", static_cast<int>(NormKind::rms), "RMSNorm: x / root mean square, times a weight (Zhang and Sennrich 2019)"},
  };
  return kChoices;
}

enum class Activation { relu, gelu, swiglu };
inline std::span<const Choice> Choices(Activation) {
  static constexpr Choice kChoices[] = {
      {"relu", static_cast<int>(Activation::relu), "max(0, x W1 + b1) W2 + b2 (Vaswani et al. 2017, eq. 2)"},
      {"gelu", static_cast<int>(Activation::gelu), "y Phi(y) in its place, y = x W1 + b1 (Hendrycks and Gimpel 2016)"},
      {"swiglu", static_cast<int>(Activation::swiglu), "(swish(x W1) * x V) W2 (Shazeer 2020, eq. 6)"},
  };
  return kChoices;
}

// The attention of one or more layers of a stack: `attention: additive` or `attention: {score: cosine, heads: 8}` for all layers, or a list
// from the bottom up: `attention: [{layers: 3, support: {kind: block, size: 32}}, {}]`.
struct LayerSpec : spec::AttentionSpec {
  std::optional<int64_t> layers = {};

  LayerSpec() { heads = 4; }

  template <class F>
  static void Declare(F& field) {
    AttentionSpec::Declare(field);
    field("layers", &LayerSpec::layers, "in a list: how many layers, from the one before upwards, have this attention; none: one")
        .Range(1, 1024);
  }
  bool operator==(const LayerSpec&) const = default;
};
using LayerSpecs = config::OneOrMany<LayerSpec>;

// What encoder and decoder have in common.
struct TransformerOptions {
  static constexpr std::string_view kKind = "transformer";
  int64_t layers = 4;
  int64_t size = 256;
  int64_t feed_forward = 1024;
  Activation activation = Activation::relu;
  NormKind norm = NormKind::layer;
  bool pre_norm = true;
  spec::Positions positions = spec::SinusoidalPositions{};
  double embedding_dropout = 0.1;
  double dropout = 0.1;
  double activation_dropout = 0;

 protected:
  template <class Options, class F>
  static void DeclareStack(F& field) {
    field("layers", &Options::layers, "of attention and feed-forward network").Range(1, 1024);
    field("size", &Options::size, "of the vectors between layers, and of the word vectors").Range(1, 65536);
    field("feed_forward", &Options::feed_forward, "size of the hidden layer of the feed-forward networks").Range(1, 1048576);
    field("activation", &Options::activation, "of the feed-forward networks");
    field("norm", &Options::norm, "what keeps the vectors' size");
    field("pre_norm", &Options::pre_norm,
          "normalise what enters a sublayer, x + f(norm(x)) (Xiong et al. 2020); false: what leaves it, norm(x + f(x)) (Vaswani et al. "
          "2017)");
    field("positions", &Options::positions, "how the layers know the order of tokens");
    field("embedding_dropout", &Options::embedding_dropout, "of word vectors and positions").Range(0, 0.95);
    field("dropout", &Options::dropout, "of what each sublayer adds").Range(0, 0.95);
    field("activation_dropout", &Options::activation_dropout, "of the hidden layer of the feed-forward networks").Range(0, 0.95);
  }

 public:
  bool operator==(const TransformerOptions&) const = default;
};

// Encoder: word vectors, then layers of self-attention and a feed-forward network (Vaswani et al. 2017, section 3.1).
struct TransformerEncoderOptions : TransformerOptions {
  LayerSpecs attention = LayerSpec();

  template <class F>
  static void Declare(F& field) {
    DeclareStack<TransformerEncoderOptions>(field);
    field("attention", &TransformerEncoderOptions::attention, "of the source to itself; a list: by layer, from the bottom");
  }
  bool operator==(const TransformerEncoderOptions&) const = default;
};

// By role: of a decoder's layers to the tokens before, and to the source.
struct DecoderLayerSpecs {
  LayerSpecs self = LayerSpec(), cross = LayerSpec();

  template <class F>
  static void Declare(F& field) {
    field("self", &DecoderLayerSpecs::self, "to the output so far, always causal; a list: by layer, from the bottom");
    field("cross", &DecoderLayerSpecs::cross, "to the source; a list: by layer, from the bottom");
  }
  bool operator==(const DecoderLayerSpecs&) const = default;
};

// Decoder: layers of causal self-attention, attention to the source and a feed-forward network.
struct TransformerDecoderOptions : TransformerOptions {
  DecoderLayerSpecs attention;
  std::optional<int64_t> alignment_layer = {};
  std::optional<int64_t> alignment_head = {};

  template <class F>
  static void Declare(F& field) {
    DeclareStack<TransformerDecoderOptions>(field);
    field("attention", &TransformerDecoderOptions::attention, "by role");
    field("alignment_layer", &TransformerDecoderOptions::alignment_layer,
          "whose attention to the source tells what a token translates, and is guided by given alignments, from 1 at the bottom; none: the "
          "last "
          "but one (Garg et al. 2019)")
        .Range(1, 1024);
    field("alignment_head", &TransformerDecoderOptions::alignment_head, "the same, which head, from 1; none: the mean of all")
        .Range(1, 1024);
  }
  bool operator==(const TransformerDecoderOptions&) const = default;
};

}  // namespace attend::nn
