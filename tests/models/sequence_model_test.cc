#include "attend/models/sequence_model.h"

#include <torch/torch.h>

#include <map>
#include <set>
#include <string>

#include "gtest/gtest.h"

namespace attend::models {
namespace {

using at::Tensor;
using spec::Cell;
using spec::Fusion;

constexpr int32_t kPadding = 0, kStart = 1, kEnd = 2;
constexpr int64_t kVocabulary = 11;

template <class T>
std::vector<T> All() {
  std::vector<T> out;
  for (const Choice& c : Choices(T{})) out.push_back(static_cast<T>(c.value));
  return out;
}

ModelOptions Tiny(Cell cell, Fusion fusion, Tie tie = Tie::target, double dropout = 0) {
  nn::RecurrentEncoderOptions encoder;
  encoder.cell = cell;
  encoder.size = 3;
  encoder.embedding = 4;
  encoder.dropout = encoder.embedding_dropout = dropout;
  nn::RecurrentDecoderOptions decoder;
  decoder.cell = cell;
  decoder.layers = 2;
  decoder.size = 6;
  decoder.embedding = 4;
  decoder.fusion = fusion;
  decoder.attention.dropout = dropout;
  decoder.dropout = decoder.embedding_dropout = dropout;
  return {encoder, decoder, tie};
}

std::shared_ptr<SequenceModel> Make(const ModelOptions& options, at::ScalarType type = at::kDouble, bool shared = true) {
  const auto model = std::make_shared<SequenceModel>(options, VocabularySizes{kVocabulary, kVocabulary, kPadding, kStart, shared});
  nn::Materialise(*model, 1);
  const at::NoGradGuard no_grad;
  torch::manual_seed(2);
  for (Tensor& p : model->parameters()) p.add_(0.3 * torch::randn_like(p));
  model->to(type);
  return model;
}

data::IdField Field(const std::vector<std::vector<int32_t>>& rows) {
  data::IdField out;
  out.rows = static_cast<int64_t>(rows.size());
  for (const auto& row : rows) {
    out.lengths.push_back(static_cast<int32_t>(row.size()));
    out.columns = std::max<int64_t>(out.columns, out.lengths.back());
  }
  for (const auto& row : rows)
    for (int64_t t = 0; t < out.columns; t++)
      out.values.push_back(t < static_cast<int64_t>(row.size()) ? row[static_cast<size_t>(t)] : kPadding);
  return out;
}

const std::vector<std::vector<int32_t>> kSource = {{3, 4, 5, 6, kEnd}, {7, kEnd}, {8, 9, 10, kEnd}, {kEnd}, {5, 5, kEnd}};
const std::vector<std::vector<int32_t>> kTarget = {{6, 5, kEnd}, {7, 7, 8, 9, 3, kEnd}, {kEnd}, {4, kEnd}, {10, 3, 3, kEnd}};

data::Batch Rows(const std::vector<size_t>& which, bool alignment = false) {
  std::vector<std::vector<int32_t>> source, target;
  data::Batch batch;
  for (size_t i : which) {
    source.push_back(kSource[i]);
    target.push_back(kTarget[i]);
    batch.examples.push_back(static_cast<int64_t>(100 + i));
  }
  batch.ids["source"] = Field(source);
  batch.ids["target"] = Field(target);
  if (alignment) {
    const int64_t tall = batch.ids["target"].columns, wide = batch.ids["source"].columns;
    data::FloatField links{{static_cast<int64_t>(which.size()), tall, wide}, {}};
    links.values.resize(static_cast<size_t>(links.shape[0] * tall * wide));
    for (size_t i = 0; i < which.size(); i++)  // every target token but the last looks at the source's first
      for (size_t t = 0; t + 1 < target[i].size(); t++) links.values[(i * static_cast<size_t>(tall) + t) * static_cast<size_t>(wide)] = 1;
    batch.floats["alignment"] = links;
  }
  return batch;
}

struct Outcome {
  double total = 0, nll = 0;
  int64_t tokens = 0;
  std::map<std::string, Tensor> gradients;
};

Outcome Differentiate(const SequenceModel& model, const data::Batch& batch, const LossOptions& options, bool training = true) {
  nn::Context context;
  context.training = training;
  context.seed = 1;
  context.step = 5;
  context.examples = batch.examples;
  const LossSum sum = model.Loss(batch, options, context);
  const auto gradients = torch::autograd::grad({sum.total}, model.parameters(), {}, std::nullopt, false, true);
  Outcome out{sum.total.item<double>(), sum.nll, sum.tokens, {}};
  size_t i = 0;
  for (const auto& p : model.named_parameters()) {
    out.gradients[p.key()] = gradients[i].defined() ? gradients[i] : torch::zeros_like(p.value());
    i++;
  }
  return out;
}

// A batch is the sum of any parts of it: padding, order and company do not matter, drawn dropout included.
TEST(Loss, OfABatchIsTheSumOfItsParts) {
  for (Fusion fusion : All<Fusion>())
    for (Cell cell : All<Cell>())
      for (double guided : {0.0, 0.5}) {
        if (guided > 0 && fusion == Fusion::none) continue;
        SCOPED_TRACE(std::string(Name(fusion)) + " " + std::string(Name(cell)) + (guided > 0 ? " guided" : ""));
        const auto model = Make(Tiny(cell, fusion, Tie::target, 0.3));
        const LossOptions options{0.1, guided};
        const Outcome whole = Differentiate(*model, Rows({0, 1, 2, 3, 4}, true), options);
        EXPECT_EQ(whole.tokens, 16);
        Outcome sum;
        for (const std::vector<size_t>& part : {std::vector<size_t>{3, 1}, {4}, {2, 0}}) {
          const Outcome one = Differentiate(*model, Rows(part, true), options);
          sum.total += one.total;
          sum.nll += one.nll;
          sum.tokens += one.tokens;
          for (const auto& [name, g] : one.gradients) sum.gradients[name] = sum.gradients.count(name) ? sum.gradients[name] + g : g;
        }
        EXPECT_NEAR(whole.total, sum.total, 1e-11);
        EXPECT_NEAR(whole.nll, sum.nll, 1e-11);
        EXPECT_EQ(whole.tokens, sum.tokens);
        for (const auto& [name, g] : whole.gradients) EXPECT_TRUE(torch::allclose(g, sum.gradients.at(name), 1e-10, 1e-11)) << name;
      }
}

TEST(Loss, SmoothingAndLikelihood) {
  const auto model = Make(Tiny(Cell::gru, Fusion::input));
  const data::Batch batch = Rows({0, 1, 2});
  const Outcome plain = Differentiate(*model, batch, {}), smooth = Differentiate(*model, batch, {0.2, 0});
  EXPECT_NEAR(plain.total, plain.nll, 1e-12);
  EXPECT_NEAR(smooth.nll, plain.nll, 1e-12);
  EXPECT_NE(smooth.total, plain.total);
}

// One small step against the gradient makes the attention look where the alignment says.
TEST(Loss, GuidedAlignmentDrawsTheAttention) {
  for (Fusion fusion : {Fusion::input, Fusion::conditional, Fusion::output, Fusion::feed}) {
    const auto model = Make(Tiny(Cell::gru, fusion));
    const data::Batch batch = Rows({0, 1, 2, 4}, true);
    const auto aligned = [&] {
      nn::Context context;
      context.maps = search::Maps::all;
      const at::NoGradGuard no_grad;
      model->Loss(batch, {}, context);
      const Tensor w = context.recorded.at(0).weights.mean(1);
      double sum = 0;
      for (int64_t i = 0; i < 4; i++)
        for (int64_t t = 0; t + 1 < batch.ids.at("target").lengths[static_cast<size_t>(i)]; t++) sum += w[i][t][0].item<double>();
      return sum;
    };
    const double before = aligned();
    const Outcome guided = Differentiate(*model, batch, {0, 1}, false), plain = Differentiate(*model, batch, {}, false);
    EXPECT_GT(guided.total, plain.total);
    EXPECT_NEAR(guided.nll, plain.nll, 1e-12);
    {
      const at::NoGradGuard no_grad;
      for (auto& p : model->named_parameters()) p.value().sub_(0.01 * (guided.gradients.at(p.key()) - plain.gradients.at(p.key())));
    }
    EXPECT_GT(aligned(), before + 1e-3) << Name(fusion);
  }
}

TEST(Loss, GuidedAlignmentNeedsAttention) {
  const auto model = Make(Tiny(Cell::gru, Fusion::none));
  nn::Context context;
  try {
    model->Loss(Rows({0}, true), {0, 1}, context);
    FAIL();
  } catch (const UserError& e) {
    EXPECT_STREQ(e.what(), "[train] expected a model with attention for guided alignment; found none of its layers has a map");
  }
}

// The gradient of the expected loss, with every choice of two steps among three keys weighed by its probability, against the mean of what
// REINFORCE gives for random choices.
TEST(Loss, ReinforceIsUnbiasedAndItsBaselineQuietens) {
  ModelOptions options = Tiny(Cell::gru, Fusion::input);
  auto& decoder = std::get<nn::RecurrentDecoderOptions>(options.decoder);
  decoder.attention.readout = spec::HardReadout{spec::ReinforceEstimator{0}};
  const auto model = Make(options);
  data::Batch batch;
  batch.ids["source"] = Field({{3, 8, kEnd}});
  batch.ids["target"] = Field({{6, kEnd}});
  batch.examples = {100};
  // Along a direction of the attention's parameters: what was read depends on them through the choice alone. Larger weights make the
  // choices matter.
  std::vector<Tensor> parameters, directions;
  torch::manual_seed(3);
  for (auto& p : model->named_parameters()) {
    const at::NoGradGuard no_grad;
    p.value().mul_(2);
    if (!p.key().starts_with("decoder.attention.")) continue;
    parameters.push_back(p.value());
    directions.push_back(torch::randn_like(p.value()));
  }
  const auto along = [&](const Tensor& loss) {
    const auto gradients = torch::autograd::grad({loss}, parameters, {}, std::nullopt, false, true);
    double sum = 0;
    for (size_t i = 0; i < gradients.size(); i++)
      if (gradients[i].defined()) sum += (gradients[i] * directions[i]).sum().item<double>();
    return sum;
  };
  const auto run = [&](uint64_t step, std::optional<double> baseline, nn::Context& context) {
    context.training = true;
    context.seed = 1;
    context.step = step;
    context.examples = batch.examples;
    context.baseline = baseline;
    context.maps = search::Maps::all;
    return model->Loss(batch, {}, context);
  };
  // Without a baseline the loss is that of the choices made, and nothing is added to it.
  std::map<std::pair<int64_t, int64_t>, int> seen;
  Tensor expectation;
  double mean_loss = 0;
  for (uint64_t step = 0; seen.size() < 9 && step < 2000; step++) {
    nn::Context context;
    const LossSum sum = run(step, std::nullopt, context);
    const Tensor log_prob = context.choices.at(0).log_prob[0][0], weights = context.recorded.at(0).weights[0][0];  // (2), (2, 3)
    const Tensor index = (weights - log_prob.exp().unsqueeze(1)).abs().argmin(1);
    if (seen[{index[0].item<int64_t>(), index[1].item<int64_t>()}]++) continue;
    const Tensor probability = log_prob.sum().exp();
    expectation = expectation.defined() ? expectation + probability * sum.total : probability * sum.total;
    mean_loss += (probability * sum.total).item<double>();
  }
  ASSERT_EQ(seen.size(), 9u);
  const double exact = along(expectation);
  struct Estimate {
    double mean, error;  // and its standard error
  };
  const int n = 600;
  const auto estimate = [&](double baseline) {
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++) {
      nn::Context context;
      const double g = along(run(static_cast<uint64_t>(10000 + i), baseline, context).total);
      sum += g;
      squares += g * g;
    }
    const double mean = sum / n;
    return Estimate{mean, std::sqrt((squares / n - mean * mean) / (n - 1))};
  };
  const Estimate with = estimate(mean_loss / 2), without = estimate(0);  // two tokens
  EXPECT_LE(std::abs(with.mean - exact), 4 * with.error);
  EXPECT_LE(std::abs(without.mean - exact), 4 * without.error);
  // The test can tell: the other sign would lie far off, and so would no gradient at all.
  EXPECT_GE(std::abs(exact), 10 * with.error);
  EXPECT_LE(with.error, 0.5 * without.error);
}

TEST(Loss, EntropyIsPaidFor) {
  ModelOptions options = Tiny(Cell::gru, Fusion::input);
  auto& attention = std::get<nn::RecurrentDecoderOptions>(options.decoder).attention;
  const auto total = [&](double weight, Tensor* entropy) {
    attention.readout = spec::HardReadout{spec::ReinforceEstimator{weight}};
    nn::Context context;
    const data::Batch batch = Rows({0, 1, 2});
    context.training = true;
    context.examples = batch.examples;
    const LossSum sum = Make(options)->Loss(batch, {}, context);
    if (entropy) {
      *entropy = torch::zeros({}, torch::kDouble);
      for (int64_t b = 0; b < 3; b++)
        *entropy += context.choices.at(0).entropy[b].slice(1, 0, batch.ids.at("target").lengths[static_cast<size_t>(b)]).sum();
    }
    return sum.total.item<double>();
  };
  Tensor entropy;
  const double free = total(0, &entropy);
  EXPECT_GT(entropy.item<double>(), 1);
  EXPECT_NEAR(total(0.5, nullptr), free - 0.5 * entropy.item<double>(), 1e-12);
}

// See et al. 2017, equation 12, by loops.
TEST(Loss, CoverageIsTheSmallerOfNowAndBefore) {
  const auto model = Make(Tiny(Cell::gru, Fusion::conditional));
  const data::Batch batch = Rows({0, 1, 2, 3, 4});
  nn::Context context;
  const double covered = model->Loss(batch, {0, 0, 2}, context).total.item<double>(), plain = Differentiate(*model, batch, {}, false).total;
  const Tensor map = context.recorded.at(0).weights;
  double sum = 0;
  for (int64_t b = 0; b < 5; b++)
    for (int64_t t = 0; t < batch.ids.at("target").lengths[static_cast<size_t>(b)]; t++)
      for (int64_t j = 0; j < map.size(3); j++) {
        double before = 0;
        for (int64_t u = 0; u < t; u++) before += map[b][0][u][j].item<double>();
        sum += std::min(before, map[b][0][t][j].item<double>());
      }
  EXPECT_GT(sum, 0.1);
  EXPECT_NEAR(covered - plain, 2 * sum, 1e-10);
}

TEST(SequenceModel, TiedMatricesAreOne) {
  const auto names = [](Tie tie) {
    std::set<std::string> out;
    for (const auto& p : Make(Tiny(Cell::gru, Fusion::conditional, tie))->named_parameters()) out.insert(p.key());
    return out;
  };
  for (Tie tie : {Tie::none, Tie::target, Tie::all}) {
    const auto has = names(tie);
    EXPECT_EQ(has.count("head.weight"), tie == Tie::none ? 1u : 0u);
    EXPECT_EQ(has.count("encoder.embedding.weight"), tie == Tie::all ? 0u : 1u);
    EXPECT_EQ(has.count("decoder.embedding.weight"), 1u);
    // The one matrix takes the gradient of all its uses: each against central differences.
    const auto model = Make(Tiny(Cell::gru, Fusion::conditional, tie));
    const data::Batch batch = Rows({0, 1, 2});
    const Outcome exact = Differentiate(*model, batch, {0.1, 0});
    const at::NoGradGuard no_grad;
    for (auto& p : model->named_parameters()) {
      if (p.key().find("embedding.weight") == std::string::npos && p.key().rfind("head", 0) != 0) continue;
      Tensor direction = torch::randn_like(p.value());
      if (p.key().find("embedding") != std::string::npos) direction[kPadding].zero_();
      const auto at = [&](double h) {
        p.value().add_(h * direction);
        nn::Context context;
        const double loss = model->Loss(batch, {0.1, 0}, context).total.item<double>();
        p.value().sub_(h * direction);
        return loss;
      };
      EXPECT_NEAR((at(1e-5) - at(-1e-5)) / 2e-5, (exact.gradients.at(p.key()) * direction).sum().item<double>(), 1e-5) << p.key();
    }
  }
}

// The output layer of `output` has the state's size, not the embedding's: a linear layer stands between when tied.
TEST(SequenceModel, ATiedHeadOfAnotherSizeProjects) {
  const auto model = Make(Tiny(Cell::gru, Fusion::output));
  EXPECT_TRUE(model->named_parameters().contains("head.project.weight"));
  EXPECT_FALSE(Make(Tiny(Cell::gru, Fusion::output, Tie::none))->named_parameters().contains("head.project.weight"));
}

TEST(SequenceModel, TyingWhatDoesNotFitIsRefused) {
  const auto message = [](const ModelOptions& options, bool shared) {
    try {
      Make(options, at::kFloat, shared);
    } catch (const UserError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  ModelOptions options = Tiny(Cell::gru, Fusion::input, Tie::all);
  EXPECT_EQ(message(options, true), "");
  EXPECT_EQ(message(options, false), "[model.tie] expected a shared vocabulary (text.shared) for tie all; found separate ones");
  std::get<nn::RecurrentEncoderOptions>(options.encoder).embedding = 5;
  EXPECT_EQ(message(options, true), "[model.tie] expected embeddings of one size for tie all; found 5 in the encoder and 4 in the decoder");
}

// Log-probabilities of forced tokens, one row a call: the sum over a row is that row's loss.
std::vector<double> Forced(const SequenceModel& model, const data::Batch& batch) {
  const auto& target = batch.ids.at("target");
  const auto decoder = model.Decode(batch, at::kCPU);
  std::vector<double> sums(batch.examples.size());
  std::vector<int32_t> rows, parents, tokens;  // rows: the sentence of each live row
  for (size_t i = 0; i < sums.size(); i++) {
    rows.push_back(static_cast<int32_t>(i));
    parents.push_back(static_cast<int32_t>(i));
    tokens.push_back(kStart);
  }
  for (int64_t t = 0; !rows.empty(); t++) {
    search::StepRequest request;
    for (int32_t r : rows) request.forced.push_back(target.values[static_cast<size_t>(r * target.columns + t)]);
    const auto result = decoder->Step(parents, tokens, request);
    std::vector<int32_t> live;
    parents.clear();
    tokens.clear();
    for (size_t i = 0; i < rows.size(); i++) {
      sums[static_cast<size_t>(rows[i])] += result.chosen_log_probs[i];
      if (t + 1 == target.lengths[static_cast<size_t>(rows[i])]) continue;  // finished rows leave the batch
      live.push_back(rows[i]);
      parents.push_back(static_cast<int32_t>(i));
      tokens.push_back(request.forced[i]);
    }
    rows = live;
  }
  return sums;
}

TEST(Decode, ForcedTokensScoreTheirLoss) {
  for (Fusion fusion : All<Fusion>())
    for (Cell cell : All<Cell>()) {
      SCOPED_TRACE(std::string(Name(fusion)) + " " + std::string(Name(cell)));
      const auto model = Make(Tiny(cell, fusion), at::kFloat);
      const auto together = Forced(*model, Rows({0, 1, 2, 3, 4}));
      for (size_t i = 0; i < kTarget.size(); i++) {
        nn::Context context;
        EXPECT_NEAR(-together[i], model->Loss(Rows({i}), {}, context).nll, 2e-5) << i;  // logits and log-probabilities are single precision
        EXPECT_NEAR(together[i], Forced(*model, Rows({i}))[0], 1e-5) << i;
      }
    }
}

// Beams: rows come, go, double and change places; each equals a fresh decoding of its own history.
TEST(Decode, RowsContinueTheirParents) {
  const auto model = Make(Tiny(Cell::lstm, Fusion::conditional), at::kFloat);
  const data::Batch batch = Rows({0, 1, 2});
  const auto decoder = model->Decode(batch, at::kCPU);
  const std::vector<std::vector<int32_t>> parents = {{0, 1, 2}, {0, 0, 1, 2, 2}, {4, 1, 0, 0}, {3, 2, 0}, {2, 1}, {1}};
  std::vector<std::pair<size_t, std::vector<int32_t>>> histories = {{0, {}}, {1, {}}, {2, {}}};
  int32_t token = 3;
  for (size_t step = 0; step < parents.size(); step++) {
    std::vector<std::pair<size_t, std::vector<int32_t>>> next;
    std::vector<int32_t> tokens;
    for (int32_t p : parents[step]) {
      next.push_back(histories[static_cast<size_t>(p)]);
      token = step == 0 ? kStart : 3 + (token + 5) % 8;
      next.back().second.push_back(token);
      tokens.push_back(token);
    }
    histories = next;
    search::StepRequest request;
    request.k = 3;
    request.maps = search::Maps::all;
    const auto result = decoder->Step(parents[step], tokens, request);
    ASSERT_EQ(result.rows, static_cast<int64_t>(histories.size()));
    ASSERT_EQ(result.maps.size(), 1u);
    EXPECT_EQ(result.maps[0].path, "decoder.attention");
    EXPECT_EQ(result.maps[0].keys, 5);
    for (size_t i = 0; i < histories.size(); i++) {
      const auto fresh = model->Decode(Rows({histories[i].first}), at::kCPU);
      search::StepResult expected;
      const int32_t only[] = {0};
      for (int32_t t : histories[i].second) expected = fresh->Step(only, std::span(&t, 1), request);
      for (int k = 0; k < 3; k++) {
        EXPECT_EQ(result.ids[i * 3 + static_cast<size_t>(k)], expected.ids[static_cast<size_t>(k)]) << step << " " << i;
        EXPECT_NEAR(result.log_probs[i * 3 + static_cast<size_t>(k)], expected.log_probs[static_cast<size_t>(k)], 1e-5);
      }
      const auto length = static_cast<size_t>(kSource[histories[i].first].size());
      double sum = 0;
      for (size_t j = 0; j < 5; j++) {
        const float w = result.maps[0].weights[i * 5 + j];
        EXPECT_NEAR(w, j < length ? expected.maps[0].weights[j] : 0, 1e-6);
        sum += w;
      }
      EXPECT_NEAR(sum, 1, 1e-6);
    }
  }
}

}  // namespace
}  // namespace attend::models
