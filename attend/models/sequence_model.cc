#include "attend/models/sequence_model.h"

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "attend/models/tensors.h"
#include "attend/nn/recurrent_decoder.h"
#include "attend/nn/recurrent_encoder.h"
#include "attend/nn/transformer_decoder.h"
#include "attend/nn/transformer_encoder.h"
#include "attend/search/choose.h"

namespace attend::models {

using at::Tensor;

namespace {

std::shared_ptr<nn::Encoder> MakeEncoder(const nn::RecurrentEncoderOptions& options, const VocabularySizes& sizes) {
  return std::make_shared<nn::RecurrentEncoder>(options, sizes.source, sizes.padding);
}
std::shared_ptr<nn::Encoder> MakeEncoder(const nn::TransformerEncoderOptions& options, const VocabularySizes& sizes) {
  return std::make_shared<nn::TransformerEncoder>(options, sizes.source, sizes.padding);
}

std::shared_ptr<nn::Encoder> MakeEncoder(const NoEncoderOptions&, const VocabularySizes&) { return nullptr; }

std::shared_ptr<nn::SequenceDecoder> MakeDecoder(const nn::RecurrentDecoderOptions& options, int64_t memory_size,
                                                 const VocabularySizes& sizes) {
  return std::make_shared<nn::RecurrentDecoder>(options, memory_size, sizes.target, sizes.padding);
}
std::shared_ptr<nn::SequenceDecoder> MakeDecoder(const nn::TransformerDecoderOptions& options, int64_t memory_size,
                                                 const VocabularySizes& sizes) {
  return std::make_shared<nn::TransformerDecoder>(options, memory_size, sizes.target, sizes.padding);
}

// The maps of a pass over the source that align.
std::vector<Tensor> CrossMaps(const nn::Context& context) {
  std::vector<Tensor> out;
  for (const nn::RecordedMap& map : context.recorded)
    if (map.kind == nn::MapKind::cross && map.aligns)
      out.push_back(map.head >= 0 && map.weights.size(1) > 1 ? map.weights.narrow(1, map.head, 1) : map.weights);
  return out;
}

void ExpectMaps(const std::vector<Tensor>& maps, std::string_view use) {
  if (maps.empty()) throw UserError("train", "a model with attention for " + std::string(use), "none of its layers has a map");
}

// Mean cross-entropy from the given alignment to the attention, over the target tokens that have one, times their number:
// a sum over tokens like the loss that it joins. alignment (B, T, S), rows summing to 1 or 0.
Tensor GuidedAlignment(const Tensor& alignment, const std::vector<Tensor>& maps) {
  ExpectMaps(maps, "guided alignment");
  Tensor sum;
  for (const Tensor& map : maps) {
    const Tensor one = -(alignment * at::log(map.mean(1) + 1e-8)).sum();
    sum = sum.defined() ? sum + one : one;
  }
  return sum / static_cast<double>(maps.size());
}

// Sum over tokens of sum_j min(w_j, what the tokens before gave to j) (See et al. 2017, eq. 12), mean over heads and maps. real (B, T): 1
// for tokens, 0 for padding.
Tensor CoverageLoss(const std::vector<Tensor>& maps, const Tensor& real) {
  ExpectMaps(maps, "a coverage loss");
  Tensor sum;
  for (const Tensor& map : maps) {
    const Tensor before = at::cumsum(map, 2) - map;
    const Tensor one = (at::minimum(map, before).sum(3).mean(1) * real).sum();
    sum = sum.defined() ? sum + one : one;
  }
  return sum / static_cast<double>(maps.size());
}

// REINFORCE (Williams 1992) for choices of a hard readout: the sum over choices of (L - b) log p(choice) - entropy H, with L the loss of
// all tokens that the choice can change - those from its own step on, or all where the source chose - and b what is to be expected of as
// many tokens. The baseline makes the gradient less noisy and adds nothing to its mean (Xu et al. 2015, section 4.1).
// loss (M): of the real tokens, whose places in (B, T) are `index`; no gradient flows into it. real (B, T), source (B, S): 1 for tokens, 0
// for padding.
Tensor Reinforce(const std::vector<nn::RecordedChoice>& choices, const Tensor& loss, const Tensor& index, const Tensor& real,
                 const Tensor& source, std::optional<double> baseline) {
  Tensor advantage = at::zeros({real.numel()}, loss.options()).index_copy(0, index, loss.detach()).view(real.sizes());
  if (baseline) advantage = advantage - *baseline * real;
  const Tensor ahead = advantage.flip(1).cumsum(1).flip(1), all = advantage.sum(1, true);  // (B, T), (B, 1)
  Tensor sum;
  for (const nn::RecordedChoice& choice : choices) {
    const bool of_source = choice.kind == nn::MapKind::source;
    const Tensor there = of_source ? source : real;
    Tensor one = -(choice.entropy * there.unsqueeze(1)).sum() * choice.entropy_weight;
    if (baseline) one = one + (choice.log_prob * ((of_source ? all : ahead) * there).unsqueeze(1)).sum();
    sum = sum.defined() ? sum + one : one;
  }
  return sum;
}

// (B, T): 1 for tokens, 0 for padding.
Tensor Real(const Tensor& lengths, int64_t columns) { return at::arange(columns, lengths.options()).unsqueeze(0) < lengths.unsqueeze(1); }
Tensor Real(const Ids& ids) { return Real(ids.lengths, ids.values.size(1)); }
Tensor Real(const nn::Memory& memory) { return Real(memory.lengths, memory.states.defined() ? memory.states.size(1) : 0); }

}  // namespace

SequenceModel::SequenceModel(const ModelOptions& options, const VocabularySizes& sizes) : sizes_(sizes) {
  encoder_ = std::visit([&](const auto& o) { return MakeEncoder(o, sizes); }, options.encoder);
  decoder_ = std::visit([&](const auto& o) { return MakeDecoder(o, encoder_ ? encoder_->size() : 0, sizes); }, options.decoder);
  if (encoder_) register_module("encoder", encoder_);
  register_module("decoder", decoder_);
  if (options.tie == Tie::all && encoder_) {
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

Longest SequenceModel::longest() const {
  return {std::min(encoder_ ? encoder_->longest() : nn::kAnyLength, decoder_->longest_memory()), decoder_->longest()};
}

nn::Memory SequenceModel::Encode(const data::Batch& batch, nn::Context& context) const {
  if (encoder_) {
    const Ids source = ToTensors(batch.ids.at("source"), context.device);
    return encoder_->Forward(source.values, source.lengths, context);
  }
  const auto rows = static_cast<int64_t>(batch.examples.size());
  return {{}, at::zeros({rows}, at::TensorOptions(at::kLong).device(context.device)), {}};
}

LossSum SequenceModel::Loss(const data::Batch& batch, const LossOptions& options, nn::Context& context, nn::Carried* carried) const {
  const Ids target = ToTensors(batch.ids.at("target"), context.device);
  const auto guide = batch.floats.find("alignment");
  const bool guided = options.guided_alignment > 0 && guide != batch.floats.end();
  const bool covered = options.coverage > 0;
  if (guided || covered) context.maps = search::Maps::summed;
  context.every_head = covered;

  const nn::Memory memory = Encode(batch, context);
  const int64_t rows = target.values.size(0), steps = target.values.size(1);
  const auto before = batch.ids.find("before");
  const Tensor start = before == batch.ids.end() ? at::full({rows, 1}, sizes_.start, target.values.options())
                                                 : ToTensors(before->second, context.device).values;
  const Tensor inputs = at::cat({start, target.values.slice(1, 0, steps - 1)}, 1);
  const Tensor states = decoder_->Forward(memory, inputs, context, carried);  // (B, T, D)

  // Only real tokens reach the vocabulary, the largest product of the model.
  Tensor real = Real(target);
  if (const auto skip = batch.ids.find("skip"); skip != batch.ids.end())
    real = real.logical_and(at::arange(steps, target.values.options()).unsqueeze(0) >= ToTensors(skip->second, context.device).values);
  const Tensor index = real.reshape({-1}).nonzero().squeeze(1);
  const auto loss = head_->Loss(states.reshape({rows * steps, -1}).index_select(0, index),
                                target.values.reshape({-1}).index_select(0, index), options.smoothing);
  LossSum sum{loss.loss.sum(), loss.nll.sum(at::kDouble).item<double>(), loss.loss.detach().sum(at::kDouble).item<double>(), index.size(0)};
  if (guided)
    sum.total = sum.total + options.guided_alignment * GuidedAlignment(ToTensor(guide->second, context.device), CrossMaps(context));
  const auto weight = [&](const Tensor& t) { return t.to(loss.loss.scalar_type()); };
  if (covered) sum.total = sum.total + options.coverage * CoverageLoss(CrossMaps(context), weight(real));
  if (!context.choices.empty())
    sum.total = sum.total + Reinforce(context.choices, loss.loss, index, weight(real), weight(Real(memory)), context.baseline);
  return sum;
}

std::vector<SequenceModel::SourceMap> SequenceModel::SourceMaps(const data::Batch& batch, at::Device device) const {
  if (!encoder_) return {};
  const c10::InferenceMode inference;
  nn::Context context;
  context.device = device;
  context.examples = batch.examples;
  context.maps = search::Maps::all;
  const Ids source = ToTensors(batch.ids.at("source"), device);
  encoder_->Forward(source.values, source.lengths, context);
  std::vector<SourceMap> out;
  for (const nn::RecordedMap& map : context.recorded) {
    const Tensor real = Real(source).unsqueeze(1);  // (B, 1, S)
    const Tensor weights = map.weights.masked_fill(~(real.unsqueeze(3) & real.unsqueeze(2)), 0).to(at::kCPU, at::kFloat).contiguous();
    const float* p = weights.data_ptr<float>();
    out.push_back({map.path, weights.size(1), weights.size(3), std::vector<float>(p, p + weights.numel())});
  }
  return out;
}

class SequenceModel::Rows : public search::Decoder {
 public:
  Rows(const SequenceModel& model, const data::Batch& batch, at::Device device) : model_(model) {
    const c10::InferenceMode inference;
    context_.device = device;
    context_.examples = batch.examples;
    if (model.encoder_) source_columns_ = batch.ids.at("source").columns;
    rows_ = model.decoder_->Start(model.Encode(batch, context_), context_);
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

  void Forget() override { rows_->Forget(); }

 private:
  // weights (rows, heads, 1, keys), where keys may be fewer than the source's columns once its longest sentences are done.
  search::StepMap ToStepMap(const nn::RecordedMap& map) const {
    Tensor weights = map.weights.squeeze(2).to(at::kCPU, at::kFloat);
    const auto over = map.kind == nn::MapKind::output  ? search::MapOver::output
                      : map.kind == nn::MapKind::input ? search::MapOver::input
                                                       : search::MapOver::source;
    if (over == search::MapOver::source) weights = at::constant_pad_nd(weights, {0, source_columns_ - weights.size(2)});
    weights = weights.contiguous();
    const float* p = weights.data_ptr<float>();
    return {map.path,
            weights.size(1),
            weights.size(2),
            std::vector<float>(p, p + weights.numel()),
            over,
            map.aligns,
            weights.size(1) > 1 ? map.head : -1};
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
