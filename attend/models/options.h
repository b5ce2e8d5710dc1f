#pragma once

#include <span>
#include <string_view>
#include <variant>

#include "attend/base/enum.h"
#include "attend/nn/recurrent_options.h"
#include "attend/nn/transformer_options.h"

namespace attend::models {

// Which vocabulary-sized matrices are one (Press and Wolf 2017).
enum class Tie { none, target, all };
inline std::span<const Choice> Choices(Tie) {
  static constexpr Choice kChoices[] = {
      {"none", static_cast<int>(Tie::none), "three matrices"},
      {"target", static_cast<int>(Tie::target), "the decoder's embeddings are the output matrix"},
      {"all", static_cast<int>(Tie::all), "the encoder's embeddings too; needs a shared vocabulary"},
  };
  return kChoices;
}

// A language model: there is no source.
struct NoEncoderOptions {
  static constexpr std::string_view kKind = "none";
  template <class F>
  static void Declare(F&) {}
  bool operator==(const NoEncoderOptions&) const = default;
};

// The shape of a model that turns one sequence into another: any encoder with any decoder.
struct ModelOptions {
  std::variant<nn::RecurrentEncoderOptions, nn::TransformerEncoderOptions, NoEncoderOptions> encoder;
  std::variant<nn::RecurrentDecoderOptions, nn::TransformerDecoderOptions> decoder;
  Tie tie = Tie::target;

  template <class F>
  static void Declare(F& field) {
    field("encoder", &ModelOptions::encoder, "reads the source");
    field("decoder", &ModelOptions::decoder, "writes the target");
    field("tie", &ModelOptions::tie, "which vocabulary-sized matrices are shared");
  }
  bool operator==(const ModelOptions&) const = default;
};

}  // namespace attend::models
