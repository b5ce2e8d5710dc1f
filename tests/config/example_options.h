#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "attend/config/options.h"

// Options that use every feature of the machinery; what the tests of this folder and the fuzzer read.
namespace attend::config::example {

enum class Score { dot, scaled_dot, additive, none };
inline std::span<const Choice> Choices(Score) {
  static constexpr Choice kChoices[] = {
      {"dot", 0, "q·k"}, {"scaled_dot", 1, "q·k/√d"}, {"additive", 2, "vᵀtanh(Wq + Uk)"}, {"none", 3, "no attention"}};
  return kChoices;
}
inline std::span<const Choice> Aliases(Score) {
  static constexpr Choice kAliases[] = {{"bahdanau", 2}, {"multiplicative", 0}};
  return kAliases;
}

enum class Router { soft, top };
inline std::span<const Choice> Choices(Router) {
  static constexpr Choice kChoices[] = {{"soft", 0}, {"top", 1}};
  return kChoices;
}

struct All {
  static constexpr std::string_view kKind = "all";
  bool operator==(const All&) const = default;
};
struct Window {
  static constexpr std::string_view kKind = "window";
  static constexpr std::string_view kHelp = "keys near the query's position";
  int left = 4;
  std::optional<int> right = {};
  bool operator==(const Window&) const = default;
  template <class F>
  static void Declare(F& field) {
    field("left", &Window::left, "keys before").Min(0).Unit("positions");
    field("right", &Window::right, "keys after").Min(0).Unit("positions");
  }
};
using Support = std::variant<All, Window>;

struct Attention;
struct Mixture {
  std::vector<Attention> experts;
  Router router = Router::soft;
  bool operator==(const Mixture&) const;
  template <class F>
  static void Declare(F& field) {
    field("experts", &Mixture::experts, "the specs that are mixed");
    field("router", &Mixture::router, "how an expert is chosen");
  }
};

// Contains itself: a mixture of specs, and a Box of a fallback.
struct Attention {
  static constexpr std::string_view kShorthand = "score";
  Score score = Score::scaled_dot;
  double dropout = 0;
  Support support = {};
  std::optional<Mixture> mixture = {};
  Box<Attention> fallback = {};
  bool operator==(const Attention&) const;
  template <class F>
  static void Declare(F& field) {
    field("score", &Attention::score, "how queries and keys are compared");
    field("dropout", &Attention::dropout, "on the weights").Min(0).Below(1);
    field("support", &Attention::support, "the keys that a query sees");
    field("mixture", &Attention::mixture, "several specs in place of this one");
    field("fallback", &Attention::fallback, "used where this one is not legal");
  }
};
inline bool Mixture::operator==(const Mixture& other) const { return router == other.router && experts == other.experts; }
inline bool Attention::operator==(const Attention& other) const {
  return score == other.score && dropout == other.dropout && support == other.support && mixture == other.mixture &&
         fallback == other.fallback;
}

struct Layer {
  int64_t size = 256;
  Attention attention = {};
  bool operator==(const Layer&) const = default;
  template <class F>
  static void Declare(F& field) {
    field("size", &Layer::size, "width").Range(1, 65536).Unit("channels");
    field("attention", &Layer::attention, "of this layer");
  }
};

struct Rnn {
  static constexpr std::string_view kKind = "rnn";
  static constexpr std::string_view kHelp = "recurrent network";
  int64_t layers = 1;
  std::string cell = "gru";
  bool operator==(const Rnn&) const = default;
  template <class F>
  static void Declare(F& field) {
    field("layers", &Rnn::layers, "stacked cells").Range(1, 64);
    field("cell", &Rnn::cell, "the recurrence");
  }
};
struct Transformer {
  static constexpr std::string_view kKind = "transformer";
  int64_t layers = 6;
  int64_t heads = 8;
  Attention attention = {};
  bool operator==(const Transformer&) const = default;
  template <class F>
  static void Declare(F& field) {
    field("layers", &Transformer::layers, "blocks").Range(1, 64);
    field("heads", &Transformer::heads, "attention heads").Range(1, 1024);
    field("attention", &Transformer::attention, "of every block");
  }
};
using Encoder = std::variant<Rnn, Transformer>;

struct Files {
  static constexpr std::string_view kShorthand = "source";
  OneOrMany<std::string> source = {};
  double weight = 1;
  bool operator==(const Files&) const = default;
  template <class F>
  static void Declare(F& field) {
    field("source", &Files::source, "files of text");
    field("weight", &Files::weight, "relative number of examples").Above(0);
  }
};

struct Train {
  int64_t epochs = 20;
  double learning_rate = 0.001;
  std::optional<double> minutes = {};
  bool shuffle = true;
  std::string metric = "bleu";
  std::optional<std::string> init = {};
  std::vector<double> betas = {0.9, 0.98};
  std::vector<std::string> tags = {};
  int64_t seed = 1;
  bool operator==(const Train&) const = default;
  template <class F>
  static void Declare(F& field) {
    field("epochs", &Train::epochs, "passes over the training data").Range(1, 1000000).Unit("epochs");
    field("learning_rate", &Train::learning_rate, "step size").Above(0).Max(10);
    field("minutes", &Train::minutes, "wall-clock limit").Min(0).Unit("minutes");
    field("shuffle", &Train::shuffle, "a new order every epoch");
    field("metric", &Train::metric, "chooses the best model");
    field("init", &Train::init, "model to start from");
    field("betas", &Train::betas, "decay of the moments").Min(0).Below(1);
    field("tags", &Train::tags, "free words").Advanced();
    field("seed", &Train::seed, "of every draw");
  }
};

struct Options {
  OneOrMany<Files> data = {};
  Encoder encoder = {};
  Encoder decoder = Transformer{.layers = 2, .heads = 4, .attention = {}};
  std::vector<Layer> layers = {Layer{}, Layer{.size = 512, .attention = {}}};
  Train train = {};
  bool operator==(const Options&) const = default;
  template <class F>
  static void Declare(F& field) {
    field("data", &Options::data, "what is read");
    field("encoder", &Options::encoder, "reads the source");
    field("decoder", &Options::decoder, "writes the target");
    field("layers", &Options::layers, "from the bottom up");
    field("train", &Options::train, "how it learns");
  }
};

}  // namespace attend::config::example
