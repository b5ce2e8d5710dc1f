#include "attend/nn/recurrent_decoder.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>

#include <optional>
#include <unordered_map>

#include "attend/nn/attention_cache.h"
#include "attend/nn/sentence_memory.h"

namespace attend::nn {

using at::Tensor;

namespace {

// What of a state does not grow with the text: the past that cells attend over begins anew in each piece.
std::vector<Tensor*> Fixed(DecoderState& state) {
  std::vector<Tensor*> out;
  for (RecurrentState& layer : state.layers)
    for (Tensor* t : {&layer.h, &layer.c})
      if (t->defined()) out.push_back(t);
  if (state.feed.defined()) out.push_back(&state.feed);
  return out;
}

void Resume(const Carried& carried, DecoderState& state) {
  if (carried.empty()) return;
  const auto parts = Fixed(state);
  for (size_t i = 0; i < parts.size(); i++) *parts[i] = carried.at(i);
}

void Leave(DecoderState& state, Carried& carried) {
  carried.clear();
  for (const Tensor* part : Fixed(state)) carried.push_back(part->detach());
}

}  // namespace

RecurrentDecoder::RecurrentDecoder(const RecurrentDecoderOptions& options, int64_t memory_size, int64_t vocabulary, int64_t padding)
    : options_(options) {
  embedding_ = register_module("embedding", std::make_shared<Embedding>(vocabulary, options.embedding, padding));
  cells_ = register_module("cells", std::make_shared<CellStack>(options.cell, options.layers, options.embedding, options.size,
                                                                options.layer_norm, options.dropout, options.intra));
  FusionSizes sizes{options.embedding, options.size, 0, options.cell, options.layer_norm};
  // A fusion without attention is made with context size 0; whether it attends does not depend on sizes.
  if (options.fusion != spec::Fusion::none) {
    spec::AttentionSpec attention = options.attention;
    if (memory_size == 0) attention.causal = true;
    attention_ = register_module(
        "attention", std::make_shared<Attention>(attention, QuerySize(options.fusion, sizes), memory_size ? memory_size : options.size,
                                                 options.attention_size ? options.attention_size : options.size));
    sizes.context = attention_->context_size();
  }
  fusion_ = MakeFusion(options.fusion, sizes);
  register_module("fusion", fusion_);
  if (memory_size == 0) return;
  const int64_t parts = options.layers * (ops::HasMemory(options.cell) ? 2 : 1);
  bridge_ = register_module("bridge", std::make_shared<Linear>(memory_size, parts * options.size));
}

// Over its own states, step t finds those of the steps before it.
AttentionPass RecurrentDecoder::Pass() const { return over_past() ? AttentionPass{-1, nullptr, MapKind::output} : AttentionPass(); }

AttentionMemory RecurrentDecoder::NoPast(int64_t rows) const {
  return attention_->Prepare(at::zeros({rows, 0, options_.size}, embedding_->weight().options().requires_grad(false)), {});
}

DecoderState RecurrentDecoder::Initial(const Memory& memory) const {
  const int64_t rows = memory.rows();
  if (!bridge_) {
    DecoderState state;
    for (size_t i = 0; i < cells_->depth(); i++) state.layers.emplace_back(cells_->first().Zero(rows));
    if (fusion_->feeds()) state.feed = at::zeros({rows, fusion_->output_size()}, state.layers[0].h.options());
    return state;
  }
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

Tensor RecurrentDecoder::Forward(const Memory& memory, const Tensor& inputs, Context& context, Carried* carried) const {
  const Tensor y = Dropout(embedding_->Forward(inputs), options_.embedding_dropout, *embedding_, "values", context);  // (B, T, E)
  const Tensor steps = y.transpose(0, 1).contiguous();                                                                // (T, B, E)
  const Tensor gates = cells_->first().Inputs(steps);                                                                 // (T, B, G size)
  DecoderState state = Initial(memory);
  if (carried) Resume(*carried, state);
  AttentionMemory keys;
  if (attention_) keys = over_past() ? NoPast(memory.rows()) : attention_->Prepare(memory.states, memory.lengths);
  Frame frame;
  if (fusion_->stepwise()) {
    std::optional<Attention::Loop> attention;
    if (attention_) attention.emplace(*attention_, keys, state.attention, context, Pass());
    const auto walk = fusion_->Start(*cells_, attention ? &*attention : nullptr, context);
    std::vector<Tensor> s, c;
    const auto gates_of = gates.unbind(0), y_of = steps.unbind(0);
    for (size_t t = 0; t < gates_of.size(); t++) {
      const Frame one = walk->Step({gates_of[t], y_of[t], static_cast<int64_t>(t)}, state);
      s.push_back(one.s);
      c.push_back(one.c);
      if (over_past()) keys.Append(attention_->Prepare(one.s.unsqueeze(1), {}));
    }
    frame = {at::stack(s, 1), at::stack(c, 1)};
    walk->Finish();
  } else {
    frame.s = cells_->Run(steps, gates, state, context).transpose(0, 1).contiguous();
    if (over_past())
      frame.c = attention_->Forward(frame.s, attention_->Prepare(frame.s, {}), context, Pass());
    else if (attention_)
      frame.c = attention_->Forward(frame.s, keys, context, Pass());
  }
  if (carried) Leave(state, *carried);
  return Dropout(fusion_->Output(frame, y), options_.dropout, *fusion_, "output", context);
}

// Decoding keeps one copy of the memory per sentence, however many rows the sentence has.
class RecurrentDecoder::Rows : public DecoderRows {
 public:
  Rows(const RecurrentDecoder& decoder, const Memory& memory)
      : decoder_(decoder), state_(decoder.Initial(memory)), source_(Prepared(memory), memory.rows()), past_rows_(memory.rows()) {}

  void Select(std::span<const int32_t> parents) override {
    if (!source_.Select(parents)) return;
    const Tensor index = Index({parents.begin(), parents.end()});
    state_.ForEach([&](Tensor& t) { t = t.index_select(0, index); });
    if (decoder_.over_past()) past_rows_.Select(index);
  }

  Tensor Step(const Tensor& tokens, Context& context) override {
    const Tensor y = decoder_.embedding_->Forward(tokens);
    const Tensor gates = Gates(tokens, y);
    std::optional<Attention::Loop> attention;
    AttentionMemory past;
    if (decoder_.over_past()) {
      past = position_ == 0 ? decoder_.NoPast(tokens.size(0)) : past_.Read(past_rows_.table());
      attention.emplace(*decoder_.attention_, past, state_.attention, context, decoder_.Pass());
    } else if (decoder_.attention_) {
      attention.emplace(*decoder_.attention_, source_.Gather()[0], state_.attention, context, decoder_.Pass());
    }
    const auto walk = decoder_.fusion_->Start(*decoder_.cells_, attention ? &*attention : nullptr, context);
    const Frame frame = walk->Step({gates, y, position_}, state_);
    walk->Finish();
    if (decoder_.over_past()) {
      past_.Put(decoder_.attention_->Prepare(frame.s.unsqueeze(1), {}), position_);
      past_rows_.Advance();
    }
    position_++;
    return decoder_.fusion_->Output(frame, y);
  }

  void Forget() override {
    if (decoder_.bridge_) return;
    Carried carried;
    Leave(state_, carried);
    const int64_t rows = carried[0].size(0);
    state_ = decoder_.Initial({{}, at::zeros({rows}, carried[0].options().dtype(at::kLong)), {}});
    Resume(carried, state_);
    past_ = {};
    past_rows_ = CacheRows(rows);
    position_ = 0;
  }

 private:
  std::vector<AttentionMemory> Prepared(const Memory& memory) const {
    if (!decoder_.attention_ || decoder_.over_past()) return {};
    return {decoder_.attention_->Prepare(memory.states, memory.lengths)};
  }

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

  const RecurrentDecoder& decoder_;
  DecoderState state_;
  SentenceMemory source_;
  AttentionCache past_;  // of the states so far, where attention is over them
  CacheRows past_rows_;
  std::unordered_map<int64_t, int64_t> place_of_token_;
  Tensor gates_;  // (at least the tokens so far, G size)
  int64_t position_ = 0;
};

std::unique_ptr<DecoderRows> RecurrentDecoder::Start(const Memory& memory, Context&) const { return std::make_unique<Rows>(*this, memory); }

}  // namespace attend::nn
