#include "attend/nn/transformer_decoder.h"

#include <ATen/ops/tensor.h>

#include <algorithm>
#include <string>

#include "attend/nn/attention_cache.h"
#include "attend/nn/sentence_memory.h"

namespace attend::nn {

using at::Tensor;

namespace {

std::vector<spec::AttentionSpec> CausalSpecs(const TransformerDecoderOptions& options) {
  auto specs = SpecsOfLayers(options.attention.self, options.layers, "model.decoder.attention.self");
  for (auto& spec : specs) spec.causal = true;
  return specs;
}

}  // namespace

TransformerDecoder::TransformerDecoder(const TransformerDecoderOptions& options, int64_t memory_size, int64_t vocabulary, int64_t padding) {
  std::vector<spec::AttentionSpec> cross;
  if (memory_size > 0) cross = SpecsOfLayers(options.attention.cross, options.layers, "model.decoder.attention.cross");
  stack_ =
      std::make_unique<TransformerStack>(*this, options, "model.decoder", CausalSpecs(options), cross, memory_size, vocabulary, padding);
  const int64_t layer = options.alignment_layer.value_or(std::max<int64_t>(1, options.layers - 1));
  if (layer > options.layers)
    throw UserError("model.decoder.alignment_layer", "one of " + std::to_string(options.layers) + " layers", std::to_string(layer));
  alignment_layer_ = static_cast<size_t>(layer - 1);
  if (!options.alignment_head) return;
  const int64_t heads = cross.empty() ? 0 : cross[alignment_layer_].heads;
  if (*options.alignment_head > heads)
    throw UserError("model.decoder.alignment_head", "one of " + std::to_string(heads) + " heads of layer " + std::to_string(layer),
                    std::to_string(*options.alignment_head));
  alignment_head_ = *options.alignment_head - 1;
}

AttentionPass TransformerDecoder::Cross(size_t layer) const {
  return {0, nullptr, MapKind::cross, layer == alignment_layer_, layer == alignment_layer_ ? alignment_head_ : -1};
}

Tensor TransformerDecoder::Forward(const Memory& memory, const Tensor& inputs, Context& context, Carried*) const {
  const Span span{0, inputs.size(1), inputs.size(1)};
  Tensor x = stack_->Embed(inputs, span, context);
  const auto places = stack_->At(span, x.options());
  const AttentionPass pass{0, places.get(), MapKind::input, false};
  for (size_t i = 0; i < stack_->layers().size(); i++) {
    const auto& layer = stack_->layers()[i];
    const auto forward = [&layer, lengths = memory.lengths, of_source = Cross(i)](const std::vector<Tensor>& in, Context& c,
                                                                                  const AttentionPass& p) {
      // Padding stands behind the tokens that are real, so that none of them sees it.
      Tensor y = layer->Self(in[0], c, 0, [&](const Tensor& t) { return layer->self().ForwardSelf(t, {}, c, p); });
      if (const Attention* cross = layer->cross())
        y = layer->Cross(y, c, 0, [&](const Tensor& t) { return cross->Forward(t, cross->Prepare(in[1], lengths), c, of_source); });
      return layer->Feed(y, c, 0);
    };
    std::vector<Tensor> in = {x};
    if (layer->cross()) in.push_back(memory.states);
    const bool records = pass.Records(context) || (layer->cross() && Cross(i).Records(context));
    x = stack_->Run(*layer, in, span, context, pass, records, forward);
  }
  return stack_->Finish(x);
}

class TransformerDecoder::Rows : public DecoderRows {
 public:
  Rows(const TransformerDecoder& decoder, const Memory& memory)
      : decoder_(decoder),
        stack_(*decoder.stack_),
        source_(Prepared(memory), memory.rows()),
        past_(stack_.layers().size()),
        past_rows_(memory.rows()),
        coverage_(stack_.layers().size()) {}

  void Select(std::span<const int32_t> parents) override {
    if (!source_.Select(parents)) return;
    const std::vector<int64_t> wide(parents.begin(), parents.end());
    const Tensor index = at::tensor(wide, at::kLong).to(stack_.embedding().weight().device());
    past_rows_.Select(index);
    for (AttentionState& state : coverage_)
      if (state.coverage.defined()) state.coverage = state.coverage.index_select(0, index);
  }

  Tensor Step(const Tensor& tokens, Context& context) override {
    const int64_t position = past_rows_.positions();
    past_rows_.Advance();
    const Tensor table = past_rows_.table();
    const Span span{position, 1, position + 1};
    Tensor x = stack_.Embed(tokens.unsqueeze(1), span, context);  // (rows, 1, size)
    const auto places = stack_.At(span, x.options());
    const AttentionPass pass{position, places.get(), MapKind::input, false};
    const std::vector<AttentionMemory>& source = source_.Gather();
    for (size_t i = 0; i < stack_.layers().size(); i++) {
      const TransformerLayer& layer = *stack_.layers()[i];
      x = layer.Self(x, context, position, [&](const Tensor& y) {
        past_[i].Put(layer.self().Prepare(y, {}, {}, places.get()), position);
        return layer.self().Forward(y, past_[i].Read(table), context, pass);
      });
      if (const Attention* cross = layer.cross())
        x = layer.Cross(x, context, position, [&](const Tensor& y) {
          Attention::Loop loop(*cross, source[i], coverage_[i], context, decoder_.Cross(i));
          const Tensor read = loop.Step(y.squeeze(1), position);
          loop.Finish();
          return read.unsqueeze(1);
        });
      x = layer.Feed(x, context, position);
    }
    return stack_.Finish(x).squeeze(1);
  }

 private:
  std::vector<AttentionMemory> Prepared(const Memory& memory) const {
    std::vector<AttentionMemory> out;
    for (const auto& layer : stack_.layers())
      if (layer->cross()) out.push_back(layer->cross()->Prepare(memory.states, memory.lengths));
    return out;
  }

  const TransformerDecoder& decoder_;
  const TransformerStack& stack_;
  SentenceMemory source_;
  std::vector<AttentionCache> past_;
  CacheRows past_rows_;
  std::vector<AttentionState> coverage_;
};

std::unique_ptr<DecoderRows> TransformerDecoder::Start(const Memory& memory, Context&) const {
  return std::make_unique<Rows>(*this, memory);
}

}  // namespace attend::nn
