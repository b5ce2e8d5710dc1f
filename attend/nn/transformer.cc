#include "attend/nn/transformer.h"

#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "attend/nn/recompute.h"
#include "attend/ops/composed_score.h"

namespace attend::nn {

using at::Tensor;

namespace {

constexpr double kNormEpsilon = 1e-5;

// Heads of all layers where they have equally many, else 0.
int64_t CommonHeads(const std::vector<spec::AttentionSpec>& specs) {
  const bool same = std::all_of(specs.begin(), specs.end(), [&](const auto& s) { return s.heads == specs[0].heads; });
  return same ? specs[0].heads : 0;
}

bool Causal(const std::vector<spec::AttentionSpec>& specs) {
  return std::all_of(specs.begin(), specs.end(), [](const auto& s) { return s.causal; });
}

// Turning a query and a key by their positions tells how far apart they are to products of both, and to nothing else.
void ExpectTurnable(const spec::Positions& positions, const std::vector<spec::AttentionSpec>& specs, int64_t size,
                    const std::string& option) {
  if (!std::holds_alternative<spec::RotaryPositions>(positions)) return;
  for (const auto& s : specs) {
    const ops::ScoreLayer layer = ops::LayerOf(s.score);
    const bool products = !layer.key && layer.score != "given";
    if (!products)
      throw UserError(option, "a score of products with rotary positions, dot, scaled_dot, general, cosine or euclidean",
                      "score " + std::string(Name(s.score)));
    if (size / s.heads % 2)
      throw UserError(option, "heads of an even width with rotary positions, which turn pairs of features",
                      "width " + std::to_string(size / s.heads));
  }
}

}  // namespace

Norm::Norm(NormKind kind, int64_t size) {
  weight_ = AddParameter("weight", {size}, Init::Ones());
  if (kind == NormKind::layer) bias_ = AddParameter("bias", {size}, Init::Zeros());
}

Tensor Norm::Forward(const Tensor& x) const {
  if (bias_.defined()) return at::layer_norm(x, weight_.sizes(), weight_, bias_, kNormEpsilon);
  return x * at::rsqrt((x * x).mean(-1, /*keepdim=*/true) + kNormEpsilon) * weight_;
}

FeedForward::FeedForward(const TransformerOptions& options) : activation_(options.activation), dropout_(options.activation_dropout) {
  const bool gated = activation_ == Activation::swiglu;  // Shazeer 2020 has no biases there
  in_ = register_module("in", std::make_shared<Linear>(options.size, options.feed_forward, !gated));
  if (gated) gate_ = register_module("gate", std::make_shared<Linear>(options.size, options.feed_forward, false));
  out_ = register_module("out", std::make_shared<Linear>(options.feed_forward, options.size, !gated));
}

Tensor FeedForward::Forward(const Tensor& x, const Context& context, int64_t position) const {
  Tensor hidden = in_->Forward(x);
  switch (activation_) {
    case Activation::relu:
      hidden = at::relu(hidden);
      break;
    case Activation::gelu:
      hidden = at::gelu(hidden);
      break;
    case Activation::swiglu:
      hidden = at::silu(hidden) * gate_->Forward(x);
      break;
  }
  return out_->Forward(Dropout(hidden, dropout_, *this, "hidden", context, position));
}

TransformerLayer::TransformerLayer(const TransformerOptions& options, const spec::AttentionSpec& self, const spec::AttentionSpec* cross,
                                   int64_t memory_size)
    : pre_norm_(options.pre_norm), dropout_(options.dropout) {
  if (self.coverage)
    throw UserError("attention", "coverage of attention to another sequence", "coverage of self-attention, which has no steps that follow");
  const auto norm = [&](const char* name) { return register_module(name, std::make_shared<Norm>(options.norm, options.size)); };
  const auto attention = [&](const char* name, const spec::AttentionSpec& spec, int64_t memory) {
    return register_module(name, std::make_shared<Attention>(spec, options.size, memory, options.size, 0, Projections::all));
  };
  self_norm_ = norm("self_norm");
  self_ = attention("self", self, options.size);
  if (cross) {
    cross_norm_ = norm("cross_norm");
    cross_ = attention("cross", *cross, memory_size);
  }
  feed_norm_ = norm("feed_forward_norm");
  feed_ = register_module("feed_forward", std::make_shared<FeedForward>(options));
}

TransformerStack::TransformerStack(Module& owner, const TransformerOptions& options, const std::string& path,
                                   const std::vector<spec::AttentionSpec>& self, const std::vector<spec::AttentionSpec>& cross,
                                   int64_t memory_size, int64_t vocabulary, int64_t padding)
    : size_(options.size), embedding_dropout_(options.embedding_dropout) {
  const std::string of_positions = path + ".positions";
  ExpectTurnable(options.positions, self, options.size, of_positions);
  // Elements of variance 1, as large as those of sinusoidal positions (Vaswani et al. 2017, section 3.4).
  embedding_ = owner.register_module("embedding", std::make_shared<Embedding>(vocabulary, options.size, padding, 0.5));
  positions_ =
      owner.register_module("positions", MakePositions(options.positions, {options.size, CommonHeads(self), Causal(self), of_positions}));
  for (size_t i = 0; i < self.size(); i++)
    layers_.push_back(
        owner.register_module("layer" + std::to_string(i + 1),
                              std::make_shared<TransformerLayer>(options, self[i], cross.empty() ? nullptr : &cross[i], memory_size)));
  if (options.pre_norm) norm_ = owner.register_module("norm", std::make_shared<Norm>(options.norm, options.size));
}

Tensor TransformerStack::Embed(const Tensor& ids, const Span& span, const Context& context) const {
  const Tensor words = embedding_->Forward(ids);
  const Tensor places = positions_->Embedding(span, words.options().requires_grad(false));
  return Dropout(places.defined() ? words + places : words, embedding_dropout_, *embedding_, "values", context, span.first);
}

Tensor TransformerStack::Run(const TransformerLayer& layer, const std::vector<Tensor>& inputs, const Span& span, Context& context,
                             const AttentionPass& pass, bool records, const Forward& forward) const {
  if (!context.recompute || !context.training || records || layer.Reinforces(context)) return forward(inputs, context, pass);
  std::vector<Tensor> parameters = layer.parameters();
  for (const Tensor& p : positions_->parameters()) parameters.push_back(p);
  Context own = context;  // nothing is recorded in it
  const auto again = [this, span, own, pass, forward, like = inputs[0].options()](const std::vector<Tensor>& in) {
    Context now = own;
    const auto places = At(span, like.requires_grad(false));
    AttentionPass here = pass;
    here.places = places.get();
    return forward(in, now, here);
  };
  return Recomputed(again, inputs, parameters);
}

int64_t TransformerStack::longest() const {
  int64_t out = positions_->longest();
  for (const auto& layer : layers_) out = std::min(out, layer->self().longest());
  return out;
}

int64_t TransformerStack::longest_memory() const {
  int64_t out = kAnyLength;
  for (const auto& layer : layers_)
    if (layer->cross()) out = std::min(out, layer->cross()->longest());
  return out;
}

std::vector<spec::AttentionSpec> SpecsOfLayers(const LayerSpecs& specs, int64_t layers, std::string_view path) {
  std::vector<spec::AttentionSpec> out;
  if (specs.single()) {
    if (specs[0].layers)
      throw UserError(std::string(path) + ".layers", "a list of attentions, of which it counts the layers", "one for all");
    out.assign(static_cast<size_t>(layers), specs[0]);
    return out;
  }
  for (const LayerSpec& spec : specs) out.insert(out.end(), static_cast<size_t>(spec.layers.value_or(1)), spec);
  if (static_cast<int64_t>(out.size()) != layers)
    throw UserError(std::string(path), "the attention of " + std::to_string(layers) + " layers, or one for all",
                    "a list for " + std::to_string(out.size()));
  return out;
}

}  // namespace attend::nn
