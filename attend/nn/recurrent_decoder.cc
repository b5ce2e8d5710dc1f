#include "attend/nn/recurrent_decoder.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <optional>
#include <unordered_map>

namespace attend::nn {

using at::Tensor;

RecurrentDecoder::RecurrentDecoder(const RecurrentDecoderOptions& options, int64_t memory_size, int64_t vocabulary, int64_t padding)
    : options_(options) {
  embedding_ = register_module("embedding", std::make_shared<Embedding>(vocabulary, options.embedding, padding));
  cells_ = register_module("cells", std::make_shared<CellStack>(options.cell, options.layers, options.embedding, options.size,
                                                                options.layer_norm, options.dropout, options.intra));
  FusionSizes sizes{options.embedding, options.size, 0, options.cell, options.layer_norm};
  // A fusion without attention is made with context size 0; whether it attends does not depend on sizes.
  if (options.fusion != spec::Fusion::none) {
    attention_ = register_module("attention", std::make_shared<Attention>(options.attention, QuerySize(options.fusion, sizes), memory_size,
                                                                          options.attention_size ? options.attention_size : options.size));
    sizes.context = attention_->context_size();
  }
  fusion_ = MakeFusion(options.fusion, sizes);
  register_module("fusion", fusion_);
  const int64_t parts = options.layers * (ops::HasMemory(options.cell) ? 2 : 1);
  bridge_ = register_module("bridge", std::make_shared<Linear>(memory_size, parts * options.size));
}

DecoderState RecurrentDecoder::Initial(const Memory& memory) const {
  const int64_t rows = memory.summary.size(0);
  const Tensor start = at::tanh(bridge_->Forward(memory.summary));
  DecoderState state;
  const auto parts = start.chunk(start.size(1) / options_.size, 1);
  for (size_t i = 0; i < cells_->depth(); i++) {
    if (ops::HasMemory(options_.cell))
      state.layers.push_back(CellState{parts[2 * i].contiguous(), parts[2 * i + 1].contiguous()});
    else
      state.layers.push_back(CellState{parts[i].contiguous(), {}});
  }
  if (fusion_->feeds()) state.feed = at::zeros({rows, fusion_->output_size()}, start.options().requires_grad(false));
  return state;
}

Tensor RecurrentDecoder::Forward(const Memory& memory, const Tensor& inputs, Context& context) const {
  const Tensor y = Dropout(embedding_->Forward(inputs), options_.embedding_dropout, *embedding_, "values", context);  // (B, T, E)
  const Tensor steps = y.transpose(0, 1).contiguous();                                                                // (T, B, E)
  const Tensor gates = cells_->first().Inputs(steps);                                                                 // (T, B, G size)
  DecoderState state = Initial(memory);
  AttentionMemory keys;
  if (attention_) keys = attention_->Prepare(memory.states, memory.lengths);
  Frame frame;
  if (fusion_->stepwise()) {
    std::optional<Attention::Loop> attention;
    if (attention_) attention.emplace(*attention_, keys, state.attention, context);
    const auto walk = fusion_->Start(*cells_, attention ? &*attention : nullptr, context);
    std::vector<Tensor> s, c;
    const auto gates_of = gates.unbind(0), y_of = steps.unbind(0);
    for (size_t t = 0; t < gates_of.size(); t++) {
      const Frame one = walk->Step({gates_of[t], y_of[t], static_cast<int64_t>(t)}, state);
      s.push_back(one.s);
      c.push_back(one.c);
    }
    frame = {at::stack(s, 1), at::stack(c, 1)};
    walk->Finish();
  } else {
    frame.s = cells_->Run(steps, gates, state, context).transpose(0, 1).contiguous();
    if (attention_) frame.c = attention_->Forward(frame.s, keys, context);
  }
  return Dropout(fusion_->Output(frame, y), options_.dropout, *fusion_, "output", context);
}

// Decoding keeps one copy of the memory per sentence, however many rows the sentence has.
class RecurrentDecoder::Rows : public DecoderRows {
 public:
  Rows(const RecurrentDecoder& decoder, const Memory& memory, Context& context) : decoder_(decoder), state_(decoder.Initial(memory)) {
    if (decoder.attention_) keys_ = decoder.attention_->Prepare(memory.states, memory.lengths);
    sentence_.resize(static_cast<size_t>(memory.summary.size(0)));
    for (size_t i = 0; i < sentence_.size(); i++) sentence_[i] = static_cast<int64_t>(i);
  }

  void Select(std::span<const int32_t> parents) override {
    bool same = parents.size() == sentence_.size();
    for (size_t i = 0; same && i < parents.size(); i++) same = parents[i] == static_cast<int32_t>(i);
    if (same) return;
    std::vector<int64_t> wide(parents.begin(), parents.end());
    std::vector<int64_t> sentence(wide.size());
    for (size_t i = 0; i < wide.size(); i++) sentence[i] = sentence_[static_cast<size_t>(wide[i])];
    sentence_ = std::move(sentence);
    const Tensor index = Index(wide);
    state_.ForEach([&](Tensor& t) { t = t.index_select(0, index); });
  }

  Tensor Step(const Tensor& tokens, Context& context) override {
    const Tensor y = decoder_.embedding_->Forward(tokens);
    const Tensor gates = Gates(tokens, y);
    std::optional<Attention::Loop> attention;
    if (decoder_.attention_) {
      Gather();
      attention.emplace(*decoder_.attention_, gathered_, state_.attention, context);
    }
    const auto walk = decoder_.fusion_->Start(*decoder_.cells_, attention ? &*attention : nullptr, context);
    const Frame frame = walk->Step({gates, y, position_++}, state_);
    walk->Finish();
    return decoder_.fusion_->Output(frame, y);
  }

 private:
  // The input's part of the first cell's gates, which depends on the token alone: computed once a batch for each, since texts repeat
  // their words and beams yet more so. tokens (rows), embedded (rows, E) -> (rows, G size).
  Tensor Gates(const Tensor& tokens, const Tensor& embedded) {
    const Tensor ids = tokens.to(at::kCPU).contiguous();
    std::vector<int64_t> places, fresh;  // of each row in gates_; rows whose token comes for the first time
    for (int64_t row = 0; row < ids.size(0); row++) {
      const auto [entry, added] =
          place_of_token_.try_emplace(ids.const_data_ptr<int64_t>()[row], static_cast<int64_t>(place_of_token_.size()));
      if (added) fresh.push_back(row);
      places.push_back(entry->second);
    }
    if (!fresh.empty()) {
      const Tensor gates = decoder_.cells_->first().Inputs(embedded.index_select(0, Index(fresh)));
      const auto before = static_cast<int64_t>(place_of_token_.size() - fresh.size()), after = static_cast<int64_t>(place_of_token_.size());
      if (!gates_.defined() || after > gates_.size(0)) {
        const Tensor larger = at::empty({2 * after, gates.size(1)}, gates.options());
        if (before) larger.slice(0, 0, before).copy_(gates_.slice(0, 0, before));
        gates_ = larger;
      }
      gates_.slice(0, before, after).copy_(gates);
    }
    return gates_.index_select(0, Index(places));
  }

  Tensor Index(const std::vector<int64_t>& values) const { return at::tensor(values, at::kLong).to(state_.layers[0].h.device()); }

  // The memory of the sentences that still have rows, copied anew only when one is done, and the place in it of each row.
  void Gather() {
    if (gathered_for_ == sentence_) return;
    gathered_for_ = sentence_;
    std::vector<int64_t> left = sentence_;
    std::sort(left.begin(), left.end());
    left.erase(std::unique(left.begin(), left.end()), left.end());
    if (static_cast<int64_t>(left.size()) == keys_.value.size(0)) {
      gathered_ = keys_;
    } else if (left != left_) {
      const Tensor index = Index(left);
      // Keys beyond the longest remaining sentence are cut off.
      gathered_ = keys_.Select(index, std::max<int64_t>(1, keys_.lengths.index_select(0, index).max().item<int64_t>()));
    }
    left_ = left;
    gathered_.rows = Tensor();
    if (sentence_ == left) return;
    std::vector<int64_t> places;
    for (int64_t sentence : sentence_) places.push_back(std::lower_bound(left.begin(), left.end(), sentence) - left.begin());
    gathered_.rows = Index(places);
  }

  const RecurrentDecoder& decoder_;
  DecoderState state_;
  AttentionMemory keys_, gathered_;
  std::vector<int64_t> sentence_, gathered_for_;  // the memory's row of each row
  std::vector<int64_t> left_;                     // the memory's rows that gathered_ holds
  std::unordered_map<int64_t, int64_t> place_of_token_;
  Tensor gates_;  // (at least the tokens so far, G size)
  int64_t position_ = 0;
};

std::unique_ptr<DecoderRows> RecurrentDecoder::Start(const Memory& memory, Context& context) const {
  return std::make_unique<Rows>(*this, memory, context);
}

}  // namespace attend::nn
