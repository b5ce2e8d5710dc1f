// Every legal combination of the vocabulary, as a layer: against its formula written down once more, pair by pair, and against central
// differences.
#include <iostream>
#include <sstream>

#include "attend/spec/validate.h"
#include "tests/nn/translator.h"
#include "tests/ops/reference_attention.h"

namespace attend::nn {
namespace {

using at::Tensor;
using spec::AttentionSpec;
using spec::Score;

constexpr int64_t kBatch = 3, kQueries = 4, kKeys = 5, kSize = 6;  // queries, keys and what is read have one size, for `dot`

std::string Describe(const AttentionSpec& s) {
  std::ostringstream out;
  for (const spec::Member& m : spec::Members(s)) out << m.name << " ";
  out << (s.causal ? "causal " : "") << s.heads << ":" << s.KeyValueHeads() << (s.coverage ? " coverage" : "");
  return out.str();
}

struct Layer {
  std::shared_ptr<Attention> module;
  std::map<std::string, Tensor> parameters;
  AttentionSpec spec;

  explicit Layer(const AttentionSpec& s) : module(std::make_shared<Attention>(s, kSize, kSize, kSize)), spec(s) {
    Materialise(*module, 1);
    module->to(torch::kDouble);
    const at::NoGradGuard no_grad;
    torch::manual_seed(7);
    for (auto& p : module->named_parameters()) {
      p.value().add_(0.5 * torch::randn_like(p.value()));
      parameters[p.key()] = p.value();
    }
  }
};

struct Inputs {
  Tensor query, states, lengths;
};
Inputs Draw() {
  torch::manual_seed(8);
  return {torch::randn({kBatch, kQueries, kSize}, torch::kDouble), torch::randn({kBatch, kKeys, kSize}, torch::kDouble),
          torch::tensor({5, 0, 3}, torch::kLong)};
}

double Number(const Tensor& t) { return t.item<double>(); }

// The score of one pair in query head h, with whole vectors q and k, and this head's parts of them as the paper's formula has it.
double PairScore(const Layer& layer, const Tensor& q, const Tensor& k, int64_t h, int64_t j) {
  const AttentionSpec& s = layer.spec;
  const auto p = [&](const char* name) { return layer.parameters.at(name); };
  const int64_t heads = s.heads, shared = s.KeyValueHeads(), g = h / (heads / shared);
  const auto part = [](const Tensor& x, int64_t parts, int64_t i) { return x.chunk(parts, 0)[i]; };
  const auto scale = [&](double usual) {
    return s.learned_scale ? std::exp(Number(p("log_scale")[h])) * s.scale.value_or(usual) : s.scale.value_or(usual);
  };
  switch (s.score) {
    case Score::dot:
      return Number(part(q, heads, h).dot(part(k, shared, g)));
    case Score::scaled_dot:
      return Number(part(q, heads, h).dot(part(k, shared, g))) * s.scale.value_or(1 / std::sqrt(kSize / static_cast<double>(shared)));
    case Score::general:
      return Number(part(p("query.weight"), heads, h).mv(q).dot(part(k, shared, g)));
    case Score::additive:
    case Score::concat: {
      Tensor inside = part(p("query.weight"), heads, h).mv(q) + part(p("key.weight"), shared, g).mv(k);
      if (s.score == Score::additive) inside = inside + part(p("key.bias"), shared, g);
      const Tensor t = inside.tanh();
      return Number(s.score_vector == spec::ScoreVector::ones ? t.sum() : t.dot(p("vector")[h]));
    }
    case Score::linear:
      return Number(p("score.query.weight")[h].dot(q) + p("score.key.weight")[h].dot(k));
    case Score::cosine: {
      const Tensor a = part(q, heads, h), b = part(k, shared, g);
      return scale(10) * Number(a.dot(b) / a.norm() / b.norm());
    }
    case Score::euclidean:
      return -scale(0.5 / std::sqrt(kSize / static_cast<double>(shared))) * Number((part(q, heads, h) - part(k, shared, g)).square().sum());
    case Score::position:
      return Number(p("score.query.weight")[h * s.Positions() + j].dot(q));
  }
  return 0;
}

struct Expected {
  Tensor context, weights, log_prob;  // (B, Tq, heads Dv), (B, heads, Tq, Tk), (B, heads, Tq)
};

Expected Formula(const Layer& layer, const Inputs& in, const Context& context, bool training) {
  const at::NoGradGuard no_grad;
  const AttentionSpec& s = layer.spec;
  const int64_t shared = s.KeyValueHeads();
  ops::AttentionArgs args;
  args.score = "given";
  args.scores = torch::zeros({kBatch, s.heads, kQueries, kKeys}, torch::kDouble);
  args.key_lengths = in.lengths;
  args.is_causal = s.causal;
  args.normaliser = Name(s.normaliser);
  if (const auto* w = std::get_if<spec::WindowSupport>(&s.support)) args.window_left = w->left, args.window_right = w->right;
  if (const auto* b = std::get_if<spec::BlockSupport>(&s.support)) args.block_size = b->size, args.look_back = b->look_back;
  if (const auto* m = std::get_if<spec::MonotonicSupport>(&s.support)) args.window_left = args.window_right = m->half_width;
  if (s.global_keys) args.global_keys = torch::arange(kKeys) < s.global_keys;
  if (const auto* p = std::get_if<spec::PredictiveSupport>(&s.support)) {
    args.half_width = static_cast<double>(p->half_width);
    args.centers = torch::zeros({kBatch, s.heads, kQueries}, torch::kDouble);
  }
  for (int64_t b = 0; b < kBatch; b++)
    for (int64_t h = 0; h < s.heads; h++)
      for (int64_t i = 0; i < kQueries; i++) {
        for (int64_t j = 0; j < kKeys; j++) args.scores[b][h][i][j] = PairScore(layer, in.query[b][i], in.states[b][j], h, j);
        if (args.half_width) {
          const double inside =
              Number(layer.parameters.at("center_vector")[h].dot(layer.parameters.at("center.weight").mv(in.query[b][i]).tanh()));
          const double keys = in.lengths[b].item<double>(), up_to_itself = static_cast<double>(i + 1);
          args.centers[b][h][i] = (s.causal ? std::min(keys, up_to_itself) : keys) / (1 + std::exp(-inside));
        }
      }
  if (const auto* hard = std::get_if<spec::HardReadout>(&s.readout)) {
    args.readout = "argmax";
    if (training) {
      const bool gumbel = std::holds_alternative<spec::GumbelEstimator>(hard->estimator);
      args.readout = gumbel ? "gumbel" : "sample";
      if (gumbel) args.temperature = std::get<spec::GumbelEstimator>(hard->estimator).temperature;
      args.seed = context.RowKeys(":weights");
    }
  }
  const Tensor value = in.states.view({kBatch, kKeys, shared, kSize / shared}).transpose(1, 2).contiguous();
  const auto found = ops::reference::Attention({}, {}, value, args);
  return {found.output.transpose(1, 2).reshape({kBatch, kQueries, -1}), found.weights, found.sample_logp};
}

// Every legal spec with one head and with two that share keys, at the sizes of the supports that matter among five keys.
void ForEachLegal(const std::function<void(const AttentionSpec&)>& visit, int& legal) {
  spec::ForEachCombination([&](const AttentionSpec& chosen) {
    AttentionSpec s = chosen;
    if (auto* w = std::get_if<spec::WindowSupport>(&s.support)) w->left = 1, w->right = s.causal ? 0 : 2;
    if (auto* b = std::get_if<spec::BlockSupport>(&s.support)) *b = {2, 1};
    if (auto* m = std::get_if<spec::MonotonicSupport>(&s.support)) m->half_width = 1;
    if (auto* p = std::get_if<spec::PredictiveSupport>(&s.support)) p->half_width = 2;
    if (s.score == Score::position) s.positions = kKeys;
    if (spec::Validate(s)) return;
    legal++;
    for (int64_t heads : {1, 2}) {
      s.heads = heads;
      s.key_value_heads = 1;
      // With shared keys a dot product needs queries of heads times the keys' size: one key/value head of half the size does not fit here.
      if (heads == 2 && !ops::LayerOf(s.score).query && ops::LayerOf(s.score).score != "given") s.key_value_heads = 2;
      visit(s);
    }
  });
}

constexpr double kTolerance = 1e-11;  // of numbers of order 10, the scores of cosine

TEST(Mechanisms, EveryLegalCombinationEqualsItsFormula) {
  const Inputs in = Draw();
  int legal = 0, run = 0;
  ForEachLegal(
      [&](const AttentionSpec& s) {
        SCOPED_TRACE(Describe(s));
        const Layer layer(s);
        const at::NoGradGuard no_grad;
        for (bool training : {false, true}) {
          Context context = Pass(training, 3, 5, {9, 8, 7});
          context.maps = search::Maps::all;
          const Tensor found = layer.module->Forward(in.query, layer.module->Prepare(in.states, in.lengths), context);
          const Expected expected = Formula(layer, in, context, training);
          EXPECT_LE(Distance(found, expected.context), kTolerance);
          EXPECT_LE(Distance(context.recorded.at(0).weights, expected.weights), kTolerance);
          for (const RecordedChoice& choice : context.choices) EXPECT_LE(Distance(choice.log_prob, expected.log_prob), kTolerance);
          if (std::holds_alternative<spec::SoftReadout>(s.readout)) break;
        }
        run++;
      },
      legal);
  std::cout << "formula: cells run / legal cells: " << run << " / " << 2 * legal << "\n";
  EXPECT_EQ(run, 2 * legal);
}

// A direction in all inputs and parameters at once: what automatic differentiation says of a random projection of all outputs, the weights
// among them, against central differences.
TEST(Mechanisms, EveryLegalCombinationHasTheGradientOfCentralDifferences) {
  int legal = 0, run = 0;
  ForEachLegal(
      [&](const AttentionSpec& s) {
        SCOPED_TRACE(Describe(s));
        const Layer layer(s);
        Inputs in = Draw();
        const auto* hard = std::get_if<spec::HardReadout>(&s.readout);
        const bool through = hard && std::holds_alternative<spec::StraightThroughEstimator>(hard->estimator);
        torch::manual_seed(9);
        const Tensor of_context = torch::randn({kBatch, kQueries, layer.module->context_size()}, torch::kDouble),
                     of_weights = torch::randn({kBatch, s.heads, kQueries, kKeys}, torch::kDouble),
                     of_choice = torch::randn({kBatch, s.heads, kQueries}, torch::kDouble);
        Tensor chosen;  // straight through: what was read, less the weighted mean, at the point of the derivative
        const auto loss = [&](bool numeric) {
          Context context = Pass(true, 3, 5, {9, 8, 7});
          context.maps = search::Maps::all;
          Tensor out = layer.module->Forward(in.query, layer.module->Prepare(in.states, in.lengths), context);
          const Tensor weights = context.recorded.at(0).weights;
          if (through) {
            // The derivative is that of the weighted mean, with the values' own part that of the position chosen.
            const int64_t shared = s.KeyValueHeads();
            const Tensor value =
                in.states.view({kBatch, kKeys, shared, kSize / shared}).transpose(1, 2).repeat_interleave(s.heads / shared, 1);
            const auto whole = [&](const Tensor& w) { return torch::matmul(w, value).transpose(1, 2).reshape(out.sizes()); };
            if (!numeric) {
              Tensor index = torch::zeros_like(weights);
              // The read position shows in the output: the value nearest to it.
              const Tensor read = out.detach().view({kBatch, kQueries, s.heads, -1}).transpose(1, 2);
              const Tensor distance = (read.unsqueeze(3) - value.unsqueeze(2)).square().sum(-1);
              index.scatter_(3, distance.argmin(3, true), 1.0);
              chosen = torch::where(weights.detach().sum(3, true) > 0, index, 0) - weights.detach();
            }
            if (numeric) out = whole(weights + chosen);
          }
          Tensor sum = (out * of_context).sum() + (weights * of_weights).sum();
          for (const RecordedChoice& choice : context.choices) sum = sum + (choice.log_prob * of_choice).sum() + choice.entropy.sum();
          return sum;
        };
        std::vector<Tensor> leaves = {in.query.requires_grad_(), in.states.requires_grad_()};
        for (const auto& [name, p] : layer.parameters) leaves.push_back(p);
        const auto gradients = torch::autograd::grad({loss(false)}, leaves, {}, std::nullopt, false, true);
        const at::NoGradGuard no_grad;
        std::vector<Tensor> directions, points;
        double exact = 0;
        for (size_t i = 0; i < leaves.size(); i++) {
          directions.push_back(torch::randn_like(leaves[i]));
          points.push_back(leaves[i].clone());
          if (gradients[i].defined()) exact += Number((gradients[i] * directions[i]).sum());
        }
        const auto at = [&](double h) {
          for (size_t i = 0; i < leaves.size(); i++) leaves[i].copy_(points[i] + h * directions[i]);
          return Number(loss(true));
        };
        const double h = 1e-5, numeric = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
        EXPECT_NEAR(exact, numeric, 1e-6 * std::max(1.0, std::abs(exact)));
        run++;
      },
      legal);
  std::cout << "gradients: cells run / legal cells: " << run << " / " << 2 * legal << "\n";
  EXPECT_EQ(run, 2 * legal);
}

}  // namespace
}  // namespace attend::nn
