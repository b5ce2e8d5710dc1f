#include "attend/nn/attention.h"

#include <ATen/ops/cat.h>

#include <string>

#include "attend/spec/validate.h"

namespace attend::nn {
namespace {

using at::Tensor;
using spec::Score;

// What a layer puts around the operator, which takes projected queries and keys.
struct Projections {
  bool query = false, key = false;  // learned projections
  bool vector = false;              // v of the additive score
  std::string_view score;           // the operator's
};

Projections ProjectionsOf(Score score) {
  switch (score) {
    case Score::general:
      return {.query = true, .score = Name(Score::dot)};
    case Score::additive:
      return {.query = true, .key = true, .vector = true, .score = Name(Score::additive)};
    default:
      return {.score = Name(score)};
  }
}

}  // namespace

Attention::Attention(const spec::AttentionSpec& spec, int64_t query_size, int64_t memory_size, int64_t size) : spec_(spec) {
  spec::RequireValid("attention", spec);
  const int64_t heads = spec.heads, shared = spec.KeyValueHeads();
  const auto divides = [](int64_t whole, int64_t parts, std::string_view what) {
    if (whole % parts)
      throw UserError("attention", std::string(what) + " that the number of heads divides",
                      std::to_string(whole) + " with " + std::to_string(parts) + " heads");
  };
  const Projections plan = ProjectionsOf(spec.score);
  operator_score_ = plan.score;
  divides(memory_size, shared, "a memory size");
  if (plan.key) {
    divides(size, heads, "an attention_size");
    const int64_t head = size / heads;
    query_ = register_module("query", std::make_shared<Linear>(query_size, size, false));
    key_ = register_module("key", std::make_shared<Linear>(memory_size, head * shared));
  } else {
    const int64_t compared = memory_size / shared * heads;
    if (plan.query)
      query_ = register_module("query", std::make_shared<Linear>(query_size, compared, false));
    else if (query_size != compared)
      throw UserError(
          "attention",
          "queries and keys of one size for score " + std::string(Name(spec.score)) + ", or score general or additive, which project",
          "queries of " + std::to_string(query_size) + " and keys of " + std::to_string(compared));
  }
  if (plan.vector) vector_ = AddParameter("vector", {heads, size / heads}, Init::Xavier());
  context_size_ = memory_size / shared * heads;
}

// (B, T, heads D) -> (B, heads, T, D)
Tensor Attention::Heads(const Tensor& x, int64_t heads) const {
  return heads == 1 ? x.unsqueeze(1) : x.view({x.size(0), x.size(1), heads, -1}).transpose(1, 2);
}

AttentionMemory Attention::Prepare(const Tensor& states, const Tensor& lengths) const {
  const int64_t heads = spec_.KeyValueHeads();
  const Tensor value = Heads(states, heads);
  return {ops::prepare(key_ ? Heads(key_->Forward(states), heads) : value, std::string(operator_score_), vector_), value, lengths, {}};
}

ops::AttentionArgs Attention::Arguments(const AttentionMemory& memory, const Context& context, const Tensor& dropout_keys,
                                        int64_t position) const {
  ops::AttentionArgs args;
  args.score = operator_score_;
  args.param = vector_;
  args.key_lengths = memory.rows.defined() && memory.lengths.defined() ? memory.lengths.index_select(0, memory.rows) : memory.lengths;
  args.key_rows = memory.rows;
  args.is_causal = spec_.causal;
  if (const auto* window = std::get_if<spec::WindowSupport>(&spec_.support)) {
    args.window_left = window->left;
    args.window_right = window->right;
  }
  if (position) args.query_offset = ops::Number(position);
  args.normaliser = Name(spec_.normaliser);
  args.readout = Name(spec_.readout);
  if (context.training && spec_.dropout > 0) {
    args.dropout_p = spec_.dropout;
    args.seed = dropout_keys;
  }
  args.need_weights = context.maps != search::Maps::none;
  return args;
}

// (B, heads, Tq, Tk), one head when only the sum is asked for.
Tensor Attention::Recorded(const Tensor& weights, const Context& context) const {
  return context.maps == search::Maps::summed && weights.size(1) > 1 ? weights.mean(1, /*keepdim=*/true) : weights;
}

Tensor Attention::Forward(const Tensor& query, const AttentionMemory& memory, Context& context, int64_t first) const {
  const Tensor q = Heads(query_ ? query_->Forward(query) : query, spec_.heads);
  const Tensor keys = context.training && spec_.dropout > 0 ? context.RowKeys(path() + ":weights") : Tensor();
  const auto result = ops::attention(q, memory.key, memory.value, Arguments(memory, context, keys, first));
  if (context.maps != search::Maps::none) context.recorded.push_back({path(), Recorded(result.weights, context)});
  return result.output.transpose(1, 2).reshape({query.size(0), query.size(1), context_size_});
}

Attention::Loop::Loop(const Attention& layer, const AttentionMemory& memory, Context& context)
    : layer_(layer), memory_(memory), context_(context) {
  if (layer.query_) query_.emplace(layer.query_->weight(), layer.query_->bias());
  if (context.training && layer.spec_.dropout > 0) dropout_keys_ = context.RowKeys(layer.path() + ":weights");
}

Tensor Attention::Loop::Step(const Tensor& query, int64_t position) {
  const Tensor q = layer_.Heads((query_ ? (*query_)(query) : query).unsqueeze(1), layer_.spec_.heads);
  const auto result = ops::attention(q, memory_.key, memory_.value, layer_.Arguments(memory_, context_, dropout_keys_, position));
  if (context_.maps != search::Maps::none) maps_.push_back(layer_.Recorded(result.weights, context_));
  return result.output.transpose(1, 2).reshape({query.size(0), layer_.context_size_});
}

void Attention::Loop::Finish() {
  if (maps_.empty()) return;
  context_.recorded.push_back({layer_.path(), at::cat(maps_, 2)});
  maps_.clear();
}

}  // namespace attend::nn
