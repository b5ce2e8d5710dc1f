#include "attend/nn/attention.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <string>

#include "attend/ops/products.h"
#include "attend/spec/validate.h"

namespace attend::nn {
namespace {

using at::Tensor;
using spec::Score;

constexpr std::string_view kGiven = "given";

// The operator's readout and temperature for a hard readout in training.
struct OperatorReadout {
  std::string_view name;
  double temperature = 1;
};
OperatorReadout InTraining(const spec::ReinforceEstimator&) { return {"sample"}; }
OperatorReadout InTraining(const spec::StraightThroughEstimator&) { return {"straight_through"}; }
OperatorReadout InTraining(const spec::GumbelEstimator& e) { return {"gumbel", e.temperature}; }

const spec::HardReadout* Hard(const spec::AttentionSpec& spec) { return std::get_if<spec::HardReadout>(&spec.readout); }

OperatorReadout ReadoutOf(const spec::AttentionSpec& spec, bool training) {
  const auto* hard = Hard(spec);
  if (!hard) return {"soft"};
  if (!training) return {"argmax"};
  return std::visit([](const auto& e) { return InTraining(e); }, hard->estimator);
}

const spec::ReinforceEstimator* Reinforce(const spec::AttentionSpec& spec) {
  return Hard(spec) ? std::get_if<spec::ReinforceEstimator>(&Hard(spec)->estimator) : nullptr;
}

const spec::PredictiveSupport* Predictive(const spec::AttentionSpec& spec) { return std::get_if<spec::PredictiveSupport>(&spec.support); }

// -sum w log w (B, Hq, Tq); a weight of 0 adds nothing and has a finite gradient.
Tensor Entropy(const Tensor& weights) { return -(weights * weights.clamp_min(1e-30).log()).sum(-1); }

// t (..., keys) with the last dimension cut or filled with zeros to `keys`.
Tensor Fit(const Tensor& t, int64_t keys) {
  const int64_t all = t.size(-1);
  return all == keys ? t : all > keys ? t.slice(-1, 0, keys) : at::constant_pad_nd(t, {0, keys - all});
}

// x by several matrices. In training one product serves all: its gradient with respect to x is one product too. In use each weight has a
// copy laid out for products (ops/frozen.h).
std::vector<Tensor> Project(const Tensor& x, const std::vector<const Linear*>& layers) {
  std::vector<Tensor> out;
  const bool plain = std::all_of(layers.begin(), layers.end(), [](const Linear* l) { return !l->bias().defined(); });
  if (!at::GradMode::is_enabled() || !plain) {
    for (const Linear* layer : layers) out.push_back(layer->Forward(x));
    return out;
  }
  std::vector<Tensor> weights;
  std::vector<int64_t> sizes;
  for (const Linear* layer : layers) {
    weights.push_back(layer->weight());
    sizes.push_back(layer->weight().size(0));
  }
  return ops::Linear(x, at::cat(weights)).split_with_sizes(sizes, -1);
}

// t (rows of memory, H, 1, Tk) as query rows read it, for rows (R) or (R, Tk).
Tensor OfRows(const Tensor& t, const Tensor& rows) {
  if (!t.defined() || !rows.defined()) return t;
  if (rows.dim() == 1) return t.index_select(0, rows);
  const std::vector<int64_t> shape = {rows.size(0), t.size(1), 1, t.size(3)};
  return t.gather(0, rows.view({rows.size(0), 1, 1, -1}).expand(shape));
}

// What each support asks of the operator.
void Restrict(const spec::AllSupport&, ops::AttentionArgs&) {}
void Restrict(const spec::WindowSupport& s, ops::AttentionArgs& args) {
  args.window_left = s.left;
  args.window_right = s.right;
}
void Restrict(const spec::BlockSupport& s, ops::AttentionArgs& args) {
  args.block_size = s.size;
  args.look_back = s.look_back;
}
void Restrict(const spec::MonotonicSupport& s, ops::AttentionArgs& args) { args.window_left = args.window_right = s.half_width; }
void Restrict(const spec::PredictiveSupport& s, ops::AttentionArgs& args) { args.half_width = static_cast<double>(s.half_width); }

}  // namespace

void AttentionMemory::ForEach(const std::function<void(Tensor&)>& f) {
  for (Tensor* t : {&key.key, &key.packed, &of_keys, &value, &lengths})
    if (t->defined()) f(*t);
}

AttentionMemory AttentionMemory::Select(const Tensor& index, int64_t keys) const {
  AttentionMemory out = *this;
  const auto cut = [&](Tensor& t, int64_t dim) {
    if (t.defined()) t = t.slice(dim, 0, keys);
  };
  cut(out.key.key, 2);
  cut(out.key.packed, 2);
  cut(out.of_keys, 3);
  cut(out.value, 2);
  out.ForEach([&](Tensor& t) { t = t.index_select(0, index); });
  return out;
}

void AttentionMemory::Append(const AttentionMemory& more) {
  if (!value.defined()) {
    *this = more;
    return;
  }
  const auto join = [](Tensor& t, const Tensor& next, int64_t dim) {
    if (t.defined()) t = at::cat({t, next}, dim);
  };
  join(key.key, more.key.key, 2);
  join(key.packed, more.key.packed, 2);
  join(of_keys, more.of_keys, 3);
  join(value, more.value, 2);
}

Attention::Attention(const spec::AttentionSpec& spec, int64_t query_size, int64_t memory_size, int64_t size, int64_t value_size,
                     Projections projections)
    : spec_(spec), layer_(ops::LayerOf(spec.score)) {
  spec::RequireValid("attention", spec);
  const bool all = projections == Projections::all;
  const int64_t heads = spec.heads, shared = spec.KeyValueHeads();
  if (value_size == 0) value_size = memory_size;
  const auto divides = [](int64_t whole, int64_t parts, std::string_view what) {
    if (whole % parts)
      throw UserError("attention", std::string(what) + " that the number of heads divides",
                      std::to_string(whole) + " with " + std::to_string(parts) + " heads");
  };
  if (all)
    divides(size, heads, "a size");
  else
    divides(value_size, shared, "a memory size");
  const bool given = layer_.score == kGiven;
  if (given) {
    given_ = register_module("score", MakeGivenScore(spec, query_size, memory_size));
    query_ = given_->query();
  } else if (layer_.key || all) {
    divides(size, heads, "an attention_size");
    dim_ = size / heads;
    query_ = register_module("query", std::make_shared<Linear>(query_size, size, false));
    key_ = register_module("key", std::make_shared<Linear>(memory_size, dim_ * shared, layer_.bias));
  } else {
    divides(memory_size, shared, "a memory size");
    dim_ = memory_size / shared;
    if (layer_.query)
      query_ = register_module("query", std::make_shared<Linear>(query_size, dim_ * heads, false));
    else if (query_size != dim_ * heads)
      throw UserError("attention",
                      "queries and keys of one size for score " + std::string(Name(spec.score)) +
                          ", or a score that projects, such as general or additive",
                      "queries of " + std::to_string(query_size) + " and keys of " + std::to_string(dim_ * heads));
  }
  const auto parameter = given ? ops::ScoreParameter::none : ops::ParameterOf(*ChoiceNamed<Score>(layer_.score));
  if (parameter == ops::ScoreParameter::vector && spec.score_vector == spec::ScoreVector::learned)
    vector_ = AddParameter("vector", {heads, dim_}, Init::Xavier());
  if (parameter == ops::ScoreParameter::scale) {
    scale_ = spec.scale.value_or(ops::UsualScale(spec.score, dim_));
    if (spec.learned_scale) log_scale_ = AddParameter("log_scale", {heads}, Init::Zeros());
  }
  if (spec.coverage) {
    if (parameter == ops::ScoreParameter::vector)
      coverage_ = AddParameter("coverage", {heads, dim_}, Init::Xavier());
    else
      coverage_ = AddParameter("coverage", {heads}, Init::Zeros());
  }
  if (Predictive(spec)) {
    center_ = register_module("center", std::make_shared<Linear>(query_size, size, false));
    center_vector_ = AddParameter("center_vector", {heads, size}, Init::Xavier());
  }
  context_size_ = value_size / shared * heads;
  if (all) {
    value_ = register_module("value", std::make_shared<Linear>(value_size, size / heads * shared, false));
    output_ = register_module("output", std::make_shared<Linear>(size, query_size, false));
    context_size_ = query_size;
  }
}

// (B, T, heads D) -> (B, heads, T, D)
Tensor Attention::Heads(const Tensor& x, int64_t heads) const {
  return heads == 1 ? x.unsqueeze(1) : x.view({x.size(0), x.size(1), heads, -1}).transpose(1, 2);
}

// What the operator's score is parametrised by; undefined: nothing.
Tensor Attention::Parameter(const at::TensorOptions& options) const {
  if (layer_.score == kGiven) return {};
  switch (ops::ParameterOf(*ChoiceNamed<Score>(layer_.score))) {
    case ops::ScoreParameter::vector:
      return vector_.defined() ? vector_ : at::ones({spec_.heads, dim_}, options);
    case ops::ScoreParameter::scale:
      return log_scale_.defined() ? at::exp(log_scale_) * scale_ : at::full({spec_.heads}, scale_, options);
    default:
      return {};
  }
}

AttentionMemory Attention::PrepareProjected(const Tensor& states, const Tensor& key, const Tensor& value, const Tensor& lengths,
                                            const Places* places) const {
  const int64_t heads = spec_.KeyValueHeads();
  AttentionMemory memory;
  memory.value = Heads(value, heads);
  memory.lengths = lengths;
  if (given_) {
    memory.of_keys = given_->OfKeys(states);
  } else {
    const Tensor split = Heads(key, heads);
    memory.key = ops::prepare(places ? places->Turn(split) : split, std::string(layer_.score), Parameter(states.options()));
  }
  return memory;
}

AttentionMemory Attention::Prepare(const Tensor& states, const Tensor& lengths, const Tensor& values, const Places* places) const {
  const Tensor& read = values.defined() ? values : states;
  if (key_ && value_ && !values.defined()) {
    const auto projected = Project(states, {key_.get(), value_.get()});
    return PrepareProjected(states, projected[0], projected[1], lengths, places);
  }
  return PrepareProjected(states, key_ ? key_->Forward(states) : states, value_ ? value_->Forward(read) : read, lengths, places);
}

bool Attention::Draws(const Context& context) const { return context.training && (spec_.dropout > 0 || Hard(spec_)); }

bool Attention::Reinforces(const Context& context) const { return context.training && Reinforce(spec_); }

// p = S sigmoid(v^T tanh(W q)), (B, Hq, Tq), S the number of keys (Luong et al. 2015, eq. 9), of a causal query those up to itself.
Tensor Attention::Centers(const Tensor& projected, const AttentionMemory& memory, int64_t first) const {
  const Tensor share = at::sigmoid(at::tanh(projected).matmul(center_vector_.t())).transpose(1, 2);
  Tensor keys = at::full({1, 1, 1}, static_cast<double>(memory.keys()), share.options());
  if (memory.lengths.defined()) {
    const Tensor lengths = memory.rows.defined() ? memory.lengths.index_select(0, memory.rows) : memory.lengths;
    keys = lengths.to(share.scalar_type()).view({-1, 1, 1});
  }
  if (spec_.causal) keys = keys.minimum(at::arange(first + 1, first + 1 + projected.size(1), share.options()));
  return share * keys;
}

Attention::Result Attention::Attend(const Call& call, const AttentionMemory& memory, const AttentionState& state, const Context& context,
                                    const Tensor& keys_of_draws, const AttentionPass& pass,
                                    std::optional<ops::StepAttention>* steps) const {
  const auto of_rows = [&](const Tensor& t) { return memory.rows.defined() && t.defined() ? t.index_select(0, memory.rows) : t; };
  const auto of_queries = [&](const Tensor& t) {
    const Tensor split = Heads(t, spec_.heads);
    return pass.places ? pass.places->Turn(split) : split;
  };
  const int64_t batch = call.query.size(0), queries = call.query.size(1), keys = memory.keys();
  const auto read = [&](const Tensor& heads) {  // (B, Hq, Tq, Dv) -> (B, Tq, context size)
    const Tensor joined = heads.transpose(1, 2).reshape({batch, queries, -1});
    return output_ ? output_->Forward(joined) : joined;
  };
  ops::AttentionArgs args;
  args.score = layer_.score;
  args.key_lengths = of_rows(memory.lengths);
  args.key_rows = memory.rows;
  args.is_causal = spec_.causal;
  std::visit([&](const auto& support) { Restrict(support, args); }, spec_.support);
  if (spec_.global_keys > 0) args.global_keys = at::arange(keys, memory.value.options().dtype(at::kLong)).lt(spec_.global_keys);
  if (center_) args.centers = Centers(call.center, memory, pass.first);
  if (spec_.score == Score::scaled_dot) args.scale = spec_.scale;
  args.normaliser = Name(spec_.normaliser);
  const OperatorReadout readout = ReadoutOf(spec_, context.training);
  args.readout = readout.name;
  args.temperature = readout.temperature;
  args.return_sample = Reinforces(context);
  if (context.training) args.dropout_p = spec_.dropout;
  if (keys_of_draws.defined()) args.seed = keys_of_draws;
  args.need_weights = pass.Records(context) || spec_.coverage || Reinforces(context);

  ops::PreparedKey key = memory.key;
  Tensor value = memory.value;
  if (spec_.coverage && state.coverage.defined()) {
    const Tensor coverage = Fit(state.coverage, keys);  // (B, Hq, Tk)
    if (coverage_.dim() == 2) {
      // Inside the tanh each query head has its own: v^T tanh(W_q q + W_k k_j + w c_j + b) (See et al. 2017, eq. 11).
      const int64_t group = spec_.heads / spec_.KeyValueHeads();
      const auto each = [&](const Tensor& t) { return group == 1 ? of_rows(t) : of_rows(t).repeat_interleave(group, 1); };
      key.packed = Tensor();
      key.key = each(key.key) + coverage.unsqueeze(3) * coverage_.unsqueeze(1);
      value = each(value);
      args.key_rows = Tensor();
    } else {
      args.attn_bias = (coverage * coverage_.unsqueeze(1)).unsqueeze(2);
    }
  }
  if (pass.places) pass.places->Add(args, spec_.heads);
  ops::AttentionResult result;
  if (steps && !*steps && !given_ && ops::StepAttention::Serves(key, value, args)) steps->emplace(key, value, args);
  if (steps && *steps && (*steps)->Reads(key, value)) {
    result.output = (**steps)(of_queries(call.query), pass.first);
    return {read(result.output), {}, {}};
  }
  if (pass.first) args.query_offset = ops::Number(pass.first);
  if (given_) {
    args.scores = given_->Scores(call.query, OfRows(memory.of_keys, memory.rows), keys).to(value.scalar_type());
    result = ops::attention(Tensor(), Tensor(), value, args);
  } else {
    result = ops::attention(of_queries(call.query), key, value, args);
  }
  return {read(result.output), result.weights, result.sample_logp};
}

// (B, heads, Tq, Tk), one head when only the sum is asked for.
Tensor Attention::Recorded(const Tensor& weights, const Context& context, const AttentionPass& pass) const {
  if (!context.sums_heads() || weights.size(1) == 1) return weights;
  return pass.head >= 0 ? weights.narrow(1, pass.head, 1) : weights.mean(1, /*keepdim=*/true);
}

Tensor Attention::ForwardProjected(const Call& call, const AttentionMemory& memory, Context& context, const AttentionPass& pass) const {
  const Tensor keys = Draws(context) ? context.RowKeys(path() + ":weights") : Tensor();
  const Result result = Attend(call, memory, {}, context, keys, pass);
  if (pass.Records(context))
    context.recorded.push_back({path(), Recorded(result.weights, context, pass), pass.kind, pass.aligns, pass.head});
  if (Reinforces(context)) context.choices.push_back({result.log_prob, Entropy(result.weights), Reinforce(spec_)->entropy, pass.kind});
  return result.context;
}

Tensor Attention::Forward(const Tensor& query, const AttentionMemory& memory, Context& context, const AttentionPass& pass) const {
  if (spec_.coverage) {  // each step reads what those before it attended to
    AttentionState state;
    Loop loop(*this, memory, state, context, pass);
    std::vector<Tensor> steps;
    int64_t position = 0;
    for (const Tensor& q : query.unbind(1)) steps.push_back(loop.Step(q, position++));
    loop.Finish();
    return at::stack(steps, 1);
  }
  const Call call = {query_ ? query_->Forward(query) : query, center_ ? center_->Forward(query) : Tensor()};
  return ForwardProjected(call, memory, context, pass);
}

Tensor Attention::ForwardSelf(const Tensor& x, const Tensor& lengths, Context& context, const AttentionPass& pass) const {
  if (spec_.coverage || !query_ || !key_ || !value_) return Forward(x, Prepare(x, lengths, {}, pass.places), context, pass);
  const auto projected = Project(x, {query_.get(), key_.get(), value_.get()});
  const AttentionMemory memory = PrepareProjected(x, projected[1], projected[2], lengths, pass.places);
  return ForwardProjected({projected[0], center_ ? center_->Forward(x) : Tensor()}, memory, context, pass);
}

Attention::Loop::Loop(const Attention& layer, const AttentionMemory& memory, AttentionState& state, Context& context,
                      const AttentionPass& pass)
    : layer_(layer), memory_(memory), state_(state), context_(context), pass_(pass) {
  if (layer.query_) query_.emplace(layer.query_->weight(), layer.query_->bias());
  if (layer.center_) center_.emplace(layer.center_->weight(), layer.center_->bias());
  if (layer.Draws(context)) keys_of_draws_ = context.RowKeys(layer.path() + ":weights");
}

Tensor Attention::Loop::Step(const Tensor& query, int64_t position) {
  const auto projected = [&](const std::optional<ops::StepLinear>& linear) { return (linear ? (*linear)(query) : query).unsqueeze(1); };
  const Call call = {projected(query_), center_ ? projected(center_) : Tensor()};
  AttentionPass now = pass_;
  now.first += position;
  const Result result = layer_.Attend(call, memory_, state_, context_, keys_of_draws_, now, now.kind == MapKind::cross ? &steps_ : nullptr);
  if (now.Records(context_)) maps_.push_back(layer_.Recorded(result.weights, context_, now));
  if (layer_.spec_.coverage) {
    const Tensor weights = result.weights.squeeze(2);
    if (state_.coverage.defined()) {  // keys that no row has any more stay as they are
      const int64_t all = std::max(state_.coverage.size(2), weights.size(2));
      state_.coverage = Fit(state_.coverage, all) + Fit(weights, all);
    } else {
      state_.coverage = weights;
    }
  }
  if (layer_.Reinforces(context_)) {
    log_probs_.push_back(result.log_prob);
    entropies_.push_back(Entropy(result.weights));
  }
  return result.context.squeeze(1);
}

void Attention::Loop::Skip(const Tensor& query) {
  const auto options = query.options().requires_grad(false);
  const int64_t rows = query.size(0);
  const int64_t heads = layer_.spec_.heads;
  if (pass_.Records(context_)) maps_.push_back(at::zeros({rows, context_.sums_heads() ? 1 : heads, 1, 0}, options));
  if (!layer_.Reinforces(context_)) return;
  log_probs_.push_back(at::zeros({rows, heads, 1}, options));
  entropies_.push_back(log_probs_.back());
}

void Attention::Loop::Finish(const Tensor& order) {
  if (!maps_.empty()) {
    int64_t keys = 0;
    for (const Tensor& map : maps_) keys = std::max(keys, map.size(3));
    if (pass_.kind != MapKind::cross) keys = std::max(keys, static_cast<int64_t>(maps_.size()));  // as many columns as rows
    for (Tensor& map : maps_) map = Fit(map, keys);
    Tensor map = at::cat(maps_, 2);
    if (order.defined()) {
      const std::vector<int64_t> full(map.sizes().begin(), map.sizes().end());
      map = map.gather(2, order.view({order.size(0), 1, -1, 1}).expand(full)).gather(3, order.view({order.size(0), 1, 1, -1}).expand(full));
    }
    context_.recorded.push_back({layer_.path(), map, pass_.kind, pass_.aligns, pass_.head});
    maps_.clear();
  }
  if (!log_probs_.empty()) {
    context_.choices.push_back({at::cat(log_probs_, 2), at::cat(entropies_, 2), Reinforce(layer_.spec_)->entropy, pass_.kind});
    log_probs_.clear();
    entropies_.clear();
  }
}

}  // namespace attend::nn
