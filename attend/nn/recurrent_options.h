#pragma once

#include <cstdint>
#include <string_view>

#include "attend/spec/attention_spec.h"
#include "attend/spec/intras.h"

namespace attend::nn {

// Encoder: embeddings, then layers of a recurrent cell over them, in one or both directions.
struct RecurrentEncoderOptions {
  static constexpr std::string_view kKind = "rnn";
  spec::Cell cell = spec::Cell::gru;
  int64_t layers = 1;
  int64_t size = 256;
  bool bidirectional = true;
  spec::Intra intra = {};
  int64_t embedding = 256;
  bool layer_norm = false;
  double embedding_dropout = 0.2;
  double dropout = 0.2;

  template <class F>
  static void Declare(F& field) {
    field("cell", &RecurrentEncoderOptions::cell, "the recurrent cell");
    field("layers", &RecurrentEncoderOptions::layers, "stacked layers").Range(1, 64);
    field("size", &RecurrentEncoderOptions::size, "of the state, in each direction").Range(1, 65536);
    field("bidirectional", &RecurrentEncoderOptions::bidirectional, "read the sentence in both directions; the states are concatenated");
    field("intra", &RecurrentEncoderOptions::intra, "attention of the cell over its own past");
    field("embedding", &RecurrentEncoderOptions::embedding, "size of the word vectors").Range(1, 65536);
    field("layer_norm", &RecurrentEncoderOptions::layer_norm, "normalise what enters the gates (Ba et al. 2016)");
    field("embedding_dropout", &RecurrentEncoderOptions::embedding_dropout, "of the word vectors").Range(0, 0.95);
    field("dropout", &RecurrentEncoderOptions::dropout, "of the states, between layers and as they are handed to the decoder")
        .Range(0, 0.95);
  }
  bool operator==(const RecurrentEncoderOptions&) const = default;
};

// Decoder: the first layer takes the context in as its fusion says; further layers stand on top of it.
struct RecurrentDecoderOptions {
  static constexpr std::string_view kKind = "rnn";
  spec::Cell cell = spec::Cell::gru;
  int64_t layers = 1;
  int64_t size = 512;
  int64_t embedding = 256;
  spec::Fusion fusion = spec::Fusion::conditional;
  spec::AttentionSpec attention = {.score = spec::Score::additive};
  int64_t attention_size = 0;
  spec::Intra intra = {};
  bool layer_norm = false;
  double embedding_dropout = 0.2;
  double dropout = 0.2;

  template <class F>
  static void Declare(F& field) {
    field("cell", &RecurrentDecoderOptions::cell, "the recurrent cell");
    field("layers", &RecurrentDecoderOptions::layers, "stacked layers").Range(1, 64);
    field("size", &RecurrentDecoderOptions::size, "of the state").Range(1, 65536);
    field("embedding", &RecurrentDecoderOptions::embedding, "size of the word vectors").Range(1, 65536);
    field("fusion", &RecurrentDecoderOptions::fusion, "how the context is used");
    field("attention", &RecurrentDecoderOptions::attention, "the attention over the encoder's states");
    field("attention_size", &RecurrentDecoderOptions::attention_size,
          "of projected queries and keys, and of the layer that predicts centres; 0: the size of the state")
        .Range(0, 65536);
    field("intra", &RecurrentDecoderOptions::intra, "attention of the cell over its own past");
    field("layer_norm", &RecurrentDecoderOptions::layer_norm, "normalise what enters the gates (Ba et al. 2016)");
    field("embedding_dropout", &RecurrentDecoderOptions::embedding_dropout, "of the word vectors").Range(0, 0.95);
    field("dropout", &RecurrentDecoderOptions::dropout, "of the output states, between layers and before the vocabulary").Range(0, 0.95);
  }
  bool operator==(const RecurrentDecoderOptions&) const = default;
};

}  // namespace attend::nn
