#include "attend/models/sequence_model.h"

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log.h>

#include "attend/models/tensors.h"
#include "attend/nn/recurrent_decoder.h"
#include "attend/nn/recurrent_encoder.h"
#include "attend/search/choose.h"

namespace attend::models {

using at::Tensor;

namespace {

std::shared_ptr<nn::Encoder> MakeEncoder(const nn::RecurrentEncoderOptions& options, const VocabularySizes& sizes) {
  return std::make_shared<nn::RecurrentEncoder>(options, sizes.source, sizes.padding);
}

std::shared_ptr<nn::SequenceDecoder> MakeDecoder(const nn::RecurrentDecoderOptions& options, int64_t memory_size,
                                                 const VocabularySizes& sizes) {
  return std::make_shared<nn::RecurrentDecoder>(options, memory_size, sizes.target, sizes.padding);
}

// Mean cross-entropy from the given alignment to the attention, over the target tokens that have one, times their number:
// a sum over tokens like the loss that it joins. alignment (B, T, S), rows summing to 1 or 0.
Tensor GuidedAlignment(const Tensor& alignment, const std::vector<nn::RecordedMap>& maps) {
  if (maps.empty()) throw UserError("train", "a model with attention for guided alignment", "none of its layers has a map");
  Tensor sum;
  for (const nn::RecordedMap& map : maps) {
    const Tensor one = -(alignment * at::log(map.weights.mean(1) + 1e-8)).sum();
    sum = sum.defined() ? sum + one : one;
  }
  return sum / static_cast<double>(maps.size());
}

}  // namespace

SequenceModel::SequenceModel(const ModelOptions& options, const VocabularySizes& sizes) : sizes_(sizes) {
  encoder_ = std::visit([&](const auto& o) { return MakeEncoder(o, sizes); }, options.encoder);
  decoder_ = std::visit([&](const auto& o) { return MakeDecoder(o, encoder_->size(), sizes); }, options.decoder);
  register_module("encoder", encoder_);
  register_module("decoder", decoder_);
  if (options.tie == Tie::all) {
    if (!sizes.shared) throw UserError("model.tie", "a shared vocabulary (text.shared) for tie all", "separate ones");
    if (encoder_->embedding().weight().sizes() != decoder_->embedding().weight().sizes())
      throw UserError("model.tie", "embeddings of one size for tie all",
                      std::to_string(encoder_->embedding().weight().size(1)) + " in the encoder and " +
                          std::to_string(decoder_->embedding().weight().size(1)) + " in the decoder");
    encoder_->TieEmbedding(decoder_->embedding());
  }
  head_ = register_module("head", std::make_shared<VocabularyHead>(decoder_->output_size(), sizes.target,
                                                                   options.tie == Tie::none ? Tensor() : decoder_->embedding().weight()));
  nn::AssignPaths(*this);
}

LossSum SequenceModel::Loss(const data::Batch& batch, const LossOptions& options, nn::Context& context) const {
  const Ids source = ToTensors(batch.ids.at("source"), context.device), target = ToTensors(batch.ids.at("target"), context.device);
  const auto guide = batch.floats.find("alignment");
  const bool guided = options.guided_alignment > 0 && guide != batch.floats.end();
  if (guided) context.maps = search::Maps::all;

  const nn::Memory memory = encoder_->Forward(source.values, source.lengths, context);
  const int64_t rows = target.values.size(0), steps = target.values.size(1);
  const Tensor start = at::full({rows, 1}, sizes_.start, target.values.options());
  const Tensor inputs = at::cat({start, target.values.slice(1, 0, steps - 1)}, 1);
  const Tensor states = decoder_->Forward(memory, inputs, context);  // (B, T, D)

  // Only real tokens reach the vocabulary, the largest product of the model.
  const Tensor real = (at::arange(steps, target.lengths.options()).unsqueeze(0) < target.lengths.unsqueeze(1)).reshape({-1});
  const Tensor index = real.nonzero().squeeze(1);
  const auto loss = head_->Loss(states.reshape({rows * steps, -1}).index_select(0, index),
                                target.values.reshape({-1}).index_select(0, index), options.smoothing);
  LossSum sum{loss.loss.sum(), loss.nll.sum(at::kDouble).item<double>(), index.size(0)};
  if (guided) sum.total = sum.total + options.guided_alignment * GuidedAlignment(ToTensor(guide->second, context.device), context.recorded);
  for (const auto& [name, extra] : context.losses) sum.total = sum.total + extra;
  return sum;
}

class SequenceModel::Rows : public search::Decoder {
 public:
  Rows(const SequenceModel& model, const data::Batch& batch, at::Device device) : model_(model) {
    const c10::InferenceMode inference;
    context_.device = device;
    context_.examples = batch.examples;
    const Ids source = ToTensors(batch.ids.at("source"), device);
    source_columns_ = source.values.size(1);
    rows_ = model.decoder_->Start(model.encoder_->Forward(source.values, source.lengths, context_), context_);
  }

  search::StepResult Step(std::span<const int32_t> parents, std::span<const int32_t> tokens, const search::StepRequest& request) override {
    const c10::InferenceMode inference;
    context_.maps = request.maps;
    context_.recorded.clear();
    rows_->Select(parents);
    data::IdField field{static_cast<int64_t>(tokens.size()), 1, {tokens.begin(), tokens.end()}, std::vector<int32_t>(tokens.size(), 1)};
    const Tensor output = rows_->Step(ToTensors(field, context_.device).values.squeeze(1), context_);
    const Tensor logits = model_.head_->Logits(output).to(at::kCPU, at::kFloat).contiguous();
    search::StepResult result =
        search::Choose({logits.data_ptr<float>(), static_cast<size_t>(logits.numel())}, logits.size(0), logits.size(1), request,
                       [](int64_t n, const std::function<void(int64_t, int64_t)>& body) { at::parallel_for(0, n, 8, body); });
    for (const nn::RecordedMap& map : context_.recorded) result.maps.push_back(ToStepMap(map));
    return result;
  }

 private:
  // weights (rows, heads, 1, keys), where keys may be fewer than the source's columns once its longest sentences are done.
  search::StepMap ToStepMap(const nn::RecordedMap& map) const {
    Tensor weights = map.weights.squeeze(2).to(at::kCPU, at::kFloat);
    weights = at::constant_pad_nd(weights, {0, source_columns_ - weights.size(2)}).contiguous();
    const float* p = weights.data_ptr<float>();
    return {map.path, weights.size(1), weights.size(2), std::vector<float>(p, p + weights.numel()), true};
  }

  const SequenceModel& model_;
  nn::Context context_;
  int64_t source_columns_ = 0;
  std::unique_ptr<nn::DecoderRows> rows_;
};

std::unique_ptr<search::Decoder> SequenceModel::Decode(const data::Batch& batch, at::Device device) const {
  return std::make_unique<Rows>(*this, batch, device);
}

}  // namespace attend::models
