#include "attend/nn/intra.h"

#include "attend/nn/intras.inc"

namespace attend::nn {

void RecurrentState::ForEach(const std::function<void(at::Tensor&)>& f) {
  for (at::Tensor* t : {&h, &c, &attention.coverage, &summary})
    if (t->defined()) f(*t);
  past.ForEach(f);
}

PastAttention::PastAttention(const spec::AttentionSpec& spec, int64_t query_size, int64_t key_size, int64_t size, int64_t value_size,
                             int64_t needed) {
  attention_ = register_module("attention", std::make_shared<Attention>(spec, query_size, key_size, size, value_size));
  if (attention_->context_size() != needed) read_ = register_module("read", std::make_shared<Linear>(attention_->context_size(), needed));
}

void PastAttention::Remember(RecurrentState& state, const at::Tensor& key, const at::Tensor& value) const {
  state.past.Append(attention_->Prepare(key.unsqueeze(1), {}, value.defined() ? value.unsqueeze(1) : value));
}

PastAttention::Loop::Loop(const PastAttention& layer, Context& context, MapKind kind)
    : layer_(layer), loop_(*layer.attention_, past_, attention_, context, {0, nullptr, kind}) {}

at::Tensor PastAttention::Loop::Read(const at::Tensor& query, int64_t position, RecurrentState& state) {
  past_ = state.past;
  attention_ = state.attention;
  const at::Tensor read = loop_.Step(query, position);
  state.attention = attention_;
  return layer_.read_ ? layer_.read_->Forward(read) : read;
}

std::shared_ptr<Intra> MakeIntra(const spec::Intra& options, const IntraSizes& sizes) {
  return std::visit([&](const auto& o) { return intras::Make(o, sizes); }, options);
}

}  // namespace attend::nn
