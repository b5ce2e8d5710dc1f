#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "attend/nn/attention.h"
#include "attend/nn/basic.h"
#include "attend/nn/positions.h"
#include "attend/nn/transformer_options.h"

namespace attend::nn {

// Normalisation over the last dimension, of either kind.
class Norm : public Module {
 public:
  Norm(NormKind kind, int64_t size);
  at::Tensor Forward(const at::Tensor& x) const;

 private:
  at::Tensor weight_, bias_;  // (size); bias undefined for rms
};

// Two linear layers with an activation between them, at each position alone.
class FeedForward : public Module {
 public:
  explicit FeedForward(const TransformerOptions& options);
  at::Tensor Forward(const at::Tensor& x, const Context& context, int64_t position) const;  // (B, T, size) -> (B, T, size)

 private:
  Activation activation_;
  double dropout_;
  std::shared_ptr<Linear> in_, gate_, out_;
};

// One layer: self-attention, attention to a memory where there is one, and a feed-forward network, each with its norm, dropout and the sum
// with what came in.
class TransformerLayer : public Module {
 public:
  // cross: null without a memory.
  TransformerLayer(const TransformerOptions& options, const spec::AttentionSpec& self, const spec::AttentionSpec* cross,
                   int64_t memory_size);

  const Attention& self() const { return *self_; }
  const Attention* cross() const { return cross_.get(); }
  bool Reinforces(const Context& context) const { return self_->Reinforces(context) || (cross_ && cross_->Reinforces(context)); }

  // The sublayers, each (B, T, size) -> (B, T, size); the first token stands at `position`.
  template <class F>
  at::Tensor Self(const at::Tensor& x, const Context& context, int64_t position, F&& attend) const {
    return Sublayer(x, *self_norm_, "self", context, position, attend);
  }
  template <class F>
  at::Tensor Cross(const at::Tensor& x, const Context& context, int64_t position, F&& attend) const {
    return Sublayer(x, *cross_norm_, "cross", context, position, attend);
  }
  at::Tensor Feed(const at::Tensor& x, const Context& context, int64_t position) const {
    return Sublayer(x, *feed_norm_, "feed_forward", context, position,
                    [&](const at::Tensor& y) { return feed_->Forward(y, context, position); });
  }

 private:
  template <class F>
  at::Tensor Sublayer(const at::Tensor& x, const Norm& norm, std::string_view name, const Context& context, int64_t position, F&& f) const {
    const auto dropped = [&](const at::Tensor& y) { return Dropout(y, dropout_, *this, name, context, position); };
    return pre_norm_ ? x + dropped(f(norm.Forward(x))) : norm.Forward(x + dropped(f(x)));
  }

  bool pre_norm_;
  double dropout_;
  std::shared_ptr<Attention> self_, cross_;
  std::shared_ptr<FeedForward> feed_;
  std::shared_ptr<Norm> self_norm_, cross_norm_, feed_norm_;
};

// What encoder and decoder have in common: word vectors, positions, layers and the last norm, all of them modules of their owner.
class TransformerStack {
 public:
  // path: of the options, for errors. self, cross: of each layer, from the bottom; cross empty without a memory. UserError when the options
  // do not fit together.
  TransformerStack(Module& owner, const TransformerOptions& options, const std::string& path, const std::vector<spec::AttentionSpec>& self,
                   const std::vector<spec::AttentionSpec>& cross, int64_t memory_size, int64_t vocabulary, int64_t padding);

  // ids (B, T) -> (B, T, size), the first at position span.first.
  at::Tensor Embed(const at::Tensor& ids, const Span& span, const Context& context) const;
  std::unique_ptr<Places> At(const Span& span, const at::TensorOptions& like) const { return positions_->At(span, like); }
  // One layer's pass over its inputs, what enters it first; its inner values are computed again in the backward pass where the context says
  // so. A layer whose maps (`records`) or choices are recorded keeps them.
  using Forward = std::function<at::Tensor(const std::vector<at::Tensor>& inputs, Context& context, const AttentionPass& pass)>;
  at::Tensor Run(const TransformerLayer& layer, const std::vector<at::Tensor>& inputs, const Span& span, Context& context,
                 const AttentionPass& pass, bool records, const Forward& forward) const;
  // After the last layer.
  at::Tensor Finish(const at::Tensor& x) const { return norm_ ? norm_->Forward(x) : x; }

  const std::vector<std::shared_ptr<TransformerLayer>>& layers() const { return layers_; }
  Embedding& embedding() const { return *embedding_; }
  int64_t size() const { return size_; }
  int64_t longest() const;         // sequence, in tokens
  int64_t longest_memory() const;  // of cross-attention

 private:
  int64_t size_;
  double embedding_dropout_;
  std::shared_ptr<Embedding> embedding_;
  std::shared_ptr<Positions> positions_;
  std::vector<std::shared_ptr<TransformerLayer>> layers_;
  std::shared_ptr<Norm> norm_;
};

// The spec of each of `layers` layers. UserError when a list does not tell of all. path: for the error.
std::vector<spec::AttentionSpec> SpecsOfLayers(const LayerSpecs& specs, int64_t layers, std::string_view path);

}  // namespace attend::nn
