#include "attend/nn/transformer_encoder.h"

#include <ATen/ops/arange.h>

namespace attend::nn {

using at::Tensor;

TransformerEncoder::TransformerEncoder(const TransformerEncoderOptions& options, int64_t vocabulary, int64_t padding) {
  stack_ = std::make_unique<TransformerStack>(*this, options, "model.encoder",
                                              SpecsOfLayers(options.attention, options.layers, "model.encoder.attention"),
                                              std::vector<spec::AttentionSpec>(), 0, vocabulary, padding);
}

Memory TransformerEncoder::Forward(const Tensor& ids, const Tensor& lengths, Context& context) const {
  const Span span{0, ids.size(1), ids.size(1)};
  Tensor x = stack_->Embed(ids, span, context);
  const auto places = stack_->At(span, x.options());
  const AttentionPass pass{0, places.get(), MapKind::source, false};
  for (const auto& layer : stack_->layers()) {
    const auto forward = [lengths, &layer](const std::vector<Tensor>& in, Context& c, const AttentionPass& p) {
      const Tensor read = layer->Self(in[0], c, 0, [&](const Tensor& y) { return layer->self().ForwardSelf(y, lengths, c, p); });
      return layer->Feed(read, c, 0);
    };
    x = stack_->Run(*layer, {x}, span, context, pass, pass.Records(context), forward);
  }
  x = stack_->Finish(x);
  const Tensor real = at::arange(ids.size(1), lengths.options()).unsqueeze(0) < lengths.unsqueeze(1);  // (B, S)
  const Tensor sum = x.masked_fill(~real.unsqueeze(2), 0).sum(1);
  return {x, lengths, sum / lengths.clamp_min(1).to(x.scalar_type()).unsqueeze(1)};
}

}  // namespace attend::nn
