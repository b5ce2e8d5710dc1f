// Attention that takes part in the recurrence: LSTMN and gated cells, and the fusions that multiply or combine, against their formulas
// written once more for one sentence, step by step.
#include "tests/nn/translator.h"

namespace attend::nn {
namespace {

using at::Tensor;
using spec::Cell;
using spec::Fusion;

const std::vector<int64_t> kSource = {5, 2, 1, 4}, kTarget = {3, 6, 1, 4};

std::vector<spec::Intra> Intras() {
  spec::AttentionSpec heads = {.score = spec::Score::additive};
  heads.heads = 2;
  heads.support = spec::WindowSupport{2, {}};
  heads.dropout = 0.3;
  spec::AttentionSpec covered = {.score = spec::Score::additive};
  covered.coverage = true;
  return {spec::LstmnIntra{}, spec::GateIntra{}, spec::LstmnIntra{heads}, spec::LstmnIntra{covered},
          spec::LstmnIntra{{.score = spec::Score::general}}};
}

std::string Kind(const spec::Intra& intra) {
  return std::visit([](const auto& i) { return std::string(i.kKind); }, intra);
}

Translator Make(Cell cell, Fusion fusion, const spec::Intra& intra, int64_t layers = 2, double dropout = 0) {
  auto encoder = TinyEncoder(cell, layers, false, dropout);
  auto decoder = TinyDecoder(cell, fusion, spec::Score::additive, layers, false, dropout);
  encoder.intra = decoder.intra = intra;
  return {encoder, decoder};
}

template <class F>
void ForEach(F&& f) {
  for (Cell cell : All<Cell>())
    for (Fusion fusion : {Fusion::conditional, Fusion::output, Fusion::gate, Fusion::combine})
      for (const spec::Intra& intra : Intras()) {
        if (cell != Cell::lstm && fusion != Fusion::conditional) continue;
        SCOPED_TRACE(std::string(Name(cell)) + " " + std::string(Name(fusion)) + " " + Kind(intra));
        f(cell, fusion, intra);
      }
}

TEST(Intra, GradientsAreThoseOfCentralDifferences) {
  const Tensor source = Ids(kSource, 1), lengths = torch::tensor(kSource), inputs = Ids({6, 6, 6, 6}, 2);
  ForEach([&](Cell cell, Fusion fusion, const spec::Intra& intra) {
    const Translator model = Make(cell, fusion, intra, 1);
    const Tensor weights = torch::randn({4, 6, model.decoder->output_size()}, torch::kDouble);
    CheckGradients(model, [&] {
      Context context = Pass(true, 3, 9, {4, 8, 15, 16});
      context.maps = search::Maps::all;
      Tensor sum = (model.Forward(source, lengths, inputs, context) * weights).sum();
      // Of the source's padding nothing counts, and its embedding takes no gradient.
      const Tensor real = (torch::arange(5).unsqueeze(0) < lengths.unsqueeze(1)).view({4, 1, 5, 1}).to(torch::kDouble);
      for (const RecordedMap& map : context.recorded)
        sum = sum + (map.kind == MapKind::source ? map.weights.square() * real : map.weights.square()).sum();
      return sum;
    });
  });
}

TEST(Intra, StepsEqualTeacherForcing) {
  const Tensor source = Ids(kSource, 1), lengths = torch::tensor(kSource), inputs = Ids({6, 6, 6, 6}, 2);
  const int32_t rows[] = {0, 1, 2, 3};
  ForEach([&](Cell cell, Fusion fusion, const spec::Intra& intra) {
    const Translator model = Make(cell, fusion, intra);
    const at::NoGradGuard no_grad;
    Context whole, stepping;
    whole.maps = stepping.maps = search::Maps::all;
    const Memory memory = model.encoder->Forward(source, lengths, whole);
    whole.recorded.clear();
    const Tensor all = model.decoder->Forward(memory, inputs, whole);
    const auto steps = model.decoder->Start(memory, stepping);
    for (int64_t t = 0; t < inputs.size(1); t++) {
      stepping.recorded.clear();
      steps->Select(rows);
      EXPECT_LE(Distance(steps->Step(inputs.select(1, t), stepping), all.select(1, t)), 1e-12) << "step " << t;
      ASSERT_EQ(stepping.recorded.size(), whole.recorded.size());
      for (const RecordedMap& one : stepping.recorded) {
        const auto same =
            std::find_if(whole.recorded.begin(), whole.recorded.end(), [&](const RecordedMap& m) { return m.path == one.path; });
        ASSERT_NE(same, whole.recorded.end()) << one.path;
        EXPECT_EQ(same->kind, one.kind);
        const int64_t keys = one.weights.size(3);
        EXPECT_LE(Distance(one.weights, same->weights.slice(2, t, t + 1).slice(3, 0, keys)), 1e-12) << one.path << " step " << t;
        if (one.kind == MapKind::cross) continue;
        EXPECT_EQ(same->weights.slice(2, t, t + 1).slice(3, t + 1).abs().sum().item<double>(), 0);
      }
    }
  });
}

TEST(Intra, ASentenceAloneEqualsTheSameInABatch) {
  const Tensor source = Ids(kSource, 1), lengths = torch::tensor(kSource), inputs = Ids(kTarget, 2);
  ForEach([&](Cell cell, Fusion fusion, const spec::Intra& intra) {
    const Translator model = Make(cell, fusion, intra, 2, 0.4);
    const std::vector<int64_t> examples = {11, 7, 1000000007, 0};
    Context context = Pass(true, 42, 17, examples);
    context.maps = search::Maps::all;
    const Tensor all = model.Forward(source, lengths, inputs, context);
    for (int64_t i = 0; i < 4; i++) {
      const int64_t s = kSource[static_cast<size_t>(i)], t = kTarget[static_cast<size_t>(i)];
      Context alone = Pass(true, 42, 17, {examples[static_cast<size_t>(i)]});
      alone.maps = search::Maps::all;
      const Tensor one = model.Forward(source.slice(0, i, i + 1).slice(1, 0, s), lengths.slice(0, i, i + 1),
                                       inputs.slice(0, i, i + 1).slice(1, 0, t), alone);
      EXPECT_LE(Distance(one[0], all[i].slice(0, 0, t)), 1e-12) << "row " << i;
      for (size_t m = 0; m < alone.recorded.size(); m++) {
        const Tensor map = alone.recorded[m].weights[0];
        EXPECT_LE(Distance(map, context.recorded[m].weights[i].slice(1, 0, map.size(1)).slice(2, 0, map.size(2))), 1e-12)
            << alone.recorded[m].path;
      }
    }
  });
}

TEST(Intra, SelectedRowsContinueTheirParents) {
  const Tensor source = Ids(kSource, 1), lengths = torch::tensor(kSource);
  const std::vector<std::vector<int32_t>> parents = {{0, 1, 2, 3}, {0, 0, 1, 1, 3, 2}, {5, 1, 0, 3, 2, 3}, {0, 4}};
  ForEach([&](Cell cell, Fusion fusion, const spec::Intra& intra) {
    const Translator model = Make(cell, fusion, intra);
    const at::NoGradGuard no_grad;
    Context context;
    const auto rows = model.decoder->Start(model.encoder->Forward(source, lengths, context), context);
    std::vector<std::pair<int64_t, std::vector<int64_t>>> histories = {{0, {}}, {1, {}}, {2, {}}, {3, {}}};
    int64_t token = 1;
    for (const auto& choice : parents) {
      std::vector<std::pair<int64_t, std::vector<int64_t>>> next;
      std::vector<int64_t> tokens;
      for (int32_t p : choice) {
        next.push_back(histories[static_cast<size_t>(p)]);
        next.back().second.push_back(token = token % (kVocabulary - 1) + 1);
        tokens.push_back(token);
      }
      histories = next;
      rows->Select(choice);
      const Tensor out = rows->Step(torch::tensor(tokens), context);
      for (size_t i = 0; i < histories.size(); i++) {
        const int64_t s = histories[i].first, n = kSource[static_cast<size_t>(s)];
        const Tensor fresh = model.Forward(source.slice(0, s, s + 1).slice(1, 0, n), lengths.slice(0, s, s + 1),
                                           torch::tensor(histories[i].second).unsqueeze(0), context);
        EXPECT_LE(Distance(out[static_cast<int64_t>(i)], fresh[0][fresh.size(1) - 1]), 1e-12) << "row " << i;
      }
    }
  });
}

using Parameters = std::map<std::string, Tensor>;
Parameters Of(const torch::nn::Module& module) {
  Parameters out;
  for (const auto& p : module.named_parameters()) out[p.key()] = p.value();
  return out;
}

// v^T tanh(W_q q + W_k k + b), softmax, sum of values, for vectors: keys and values (n, .).
Tensor Attend(const Parameters& p, const std::string& at, const Tensor& query, const std::vector<Tensor>& keys,
              const std::vector<Tensor>& values) {
  std::vector<Tensor> scores;
  for (const Tensor& k : keys)
    scores.push_back(
        (p.at(at + "query.weight").mv(query) + p.at(at + "key.weight").mv(k) + p.at(at + "key.bias")).tanh().dot(p.at(at + "vector")[0]));
  const Tensor w = torch::softmax(torch::stack(scores), 0);
  Tensor sum = torch::zeros_like(values[0]);
  for (size_t j = 0; j < values.size(); j++) sum = sum + w[static_cast<int64_t>(j)] * values[j];
  return sum;
}

// Cheng et al. 2016, equations 5 to 11, for one sequence of inputs.
TEST(Intra, LstmnIsThatOfThePaper) {
  const at::NoGradGuard no_grad;
  Recurrent layer(Cell::lstm, 5, 4, false, spec::LstmnIntra{});
  Materialise(layer, 1);
  layer.to(torch::kDouble);
  torch::manual_seed(3);
  for (Tensor& p : layer.parameters()) p.add_(0.3 * torch::randn_like(p));
  const Parameters p = Of(layer);
  const Tensor x = torch::randn({6, 1, 5}, torch::kDouble);
  RecurrentState state = layer.Zero(1);
  Context context;
  const Tensor states = layer.Run(x, layer.Inputs(x), state, {}, false, context, MapKind::source);
  std::vector<Tensor> hs, both;
  Tensor summary = torch::zeros({4}, torch::kDouble), memory = summary;
  for (int64_t t = 0; t < 6; t++) {
    if (t > 0) {
      const Tensor read = Attend(p, "intra.past.attention.", torch::cat({x[t][0], summary}), hs, both);
      summary = read.slice(0, 0, 4);
      memory = read.slice(0, 4);
    }
    const Tensor gates = p.at("weight_ih").mv(x[t][0]) + p.at("bias_ih") + p.at("weight_hh").mv(summary);
    const auto g = gates.chunk(4, 0);
    const Tensor c = torch::sigmoid(g[1]) * memory + torch::sigmoid(g[0]) * torch::tanh(g[2]), h = torch::sigmoid(g[3]) * torch::tanh(c);
    EXPECT_LE(Distance(states[t][0], h), 1e-13) << t;
    hs.push_back(h);
    both.push_back(torch::cat({h, c}));
  }
}

TEST(Intra, GateMultipliesWhatTheInputsSoFarSay) {
  const at::NoGradGuard no_grad;
  Recurrent layer(Cell::rnn, 5, 4, false, spec::GateIntra{});
  Materialise(layer, 1);
  layer.to(torch::kDouble);
  torch::manual_seed(3);
  for (Tensor& p : layer.parameters()) p.add_(0.3 * torch::randn_like(p));
  const Parameters p = Of(layer);
  const Tensor x = torch::randn({6, 1, 5}, torch::kDouble);
  RecurrentState state = layer.Zero(1);
  Context context;
  const Tensor states = layer.Run(x, layer.Inputs(x), state, {}, false, context, MapKind::source);
  std::vector<Tensor> inputs;
  Tensor h = torch::zeros({4}, torch::kDouble);
  for (int64_t t = 0; t < 6; t++) {
    inputs.push_back(x[t][0]);
    h = torch::tanh(p.at("weight_ih").mv(x[t][0]) + p.at("bias_ih") + p.at("weight_hh").mv(h));
    const Tensor c =
        p.at("intra.past.read.weight").mv(Attend(p, "intra.past.attention.", h, inputs, inputs)) + p.at("intra.past.read.bias");
    h = c * h;
    EXPECT_LE(Distance(states[t][0], h), 1e-13) << t;
  }
}

// The fusions that multiply and combine, for one sentence: Elman's cell keeps the formula short.
TEST(Fusions, GateAndCombineAreTheirFormulas) {
  const at::NoGradGuard no_grad;
  for (Fusion fusion : {Fusion::gate, Fusion::combine}) {
    SCOPED_TRACE(Name(fusion));
    auto encoder = TinyEncoder(Cell::rnn);
    encoder.size = 3;  // 3 + 3 states of the source: another size than the decoder's
    const Translator model(encoder, TinyDecoder(Cell::rnn, fusion));
    const Parameters p = Of(*model.decoder);
    Context context;
    const Tensor source = Ids({5}, 1), inputs = Ids({4}, 2);
    const Memory memory = model.encoder->Forward(source, torch::tensor({5}, torch::kLong), context);
    const Tensor found = model.decoder->Forward(memory, inputs, context)[0];
    const auto keys = memory.states[0].unbind(0);
    Tensor s = torch::tanh(p.at("bridge.weight").mv(memory.summary[0]) + p.at("bridge.bias"));
    for (int64_t t = 0; t < 4; t++) {
      const Tensor y = model.decoder->embedding().Forward(inputs)[0][t];
      const auto cell = [&](const Tensor& x) {
        return torch::tanh(p.at("cells.0.weight_ih").mv(x) + p.at("cells.0.bias_ih") + p.at("cells.0.weight_hh").mv(s));
      };
      if (fusion == Fusion::gate) {
        s = cell(y);
        s = s * (p.at("fusion.read.weight").mv(Attend(p, "attention.", s, keys, keys)) + p.at("fusion.read.bias"));
      } else {
        const Tensor c = Attend(p, "attention.", torch::cat({y, s}), keys, keys);
        s = cell(p.at("fusion.combine.weight").mv(torch::cat({y, c})) + p.at("fusion.combine.bias"));
      }
      EXPECT_LE(Distance(found[t], s), 1e-13) << t;
    }
  }
}

// See et al. 2017, equation 11: the sum of the earlier weights stands inside the tanh.
TEST(Coverage, StandsInTheScore) {
  const at::NoGradGuard no_grad;
  for (const spec::Score score : {spec::Score::additive, spec::Score::general}) {
    spec::AttentionSpec spec = {.score = score};
    spec.coverage = true;
    Attention layer(spec, 6, 6, 6);
    Materialise(layer, 1);
    layer.to(torch::kDouble);
    torch::manual_seed(4);
    for (Tensor& t : layer.parameters()) t.add_(0.5 * torch::randn_like(t));
    const Parameters p = Of(layer);
    const Tensor query = torch::randn({1, 4, 6}, torch::kDouble), states = torch::randn({1, 5, 6}, torch::kDouble);
    Context context;
    context.maps = search::Maps::all;
    layer.Forward(query, layer.Prepare(states, {}), context);
    Tensor coverage = torch::zeros({5}, torch::kDouble);
    for (int64_t i = 0; i < 4; i++) {
      Tensor s = torch::zeros({5}, torch::kDouble);
      for (int64_t j = 0; j < 5; j++) {
        const Tensor q = p.at("query.weight").mv(query[0][i]);
        s[j] = score == spec::Score::additive
                   ? (q + p.at("key.weight").mv(states[0][j]) + p.at("key.bias") + p.at("coverage")[0] * coverage[j])
                         .tanh()
                         .dot(p.at("vector")[0])
                   : q.dot(states[0][j]) + p.at("coverage")[0] * coverage[j];
      }
      const Tensor w = torch::softmax(s, 0);
      EXPECT_LE(Distance(context.recorded[0].weights[0][0][i], w), 1e-13) << i;
      coverage = coverage + w;
    }
  }
}

TEST(Position, MoreKeysThanPositionsAreAnError) {
  spec::AttentionSpec spec = {.score = spec::Score::position};
  spec.positions = 4;
  Attention layer(spec, 6, 6, 6);
  Materialise(layer, 1);
  const at::NoGradGuard no_grad;
  Context context;
  const auto run = [&](int64_t keys) { layer.Forward(torch::randn({1, 2, 6}), layer.Prepare(torch::randn({1, keys, 6}), {}), context); };
  run(4);
  try {
    run(5);
    FAIL();
  } catch (const UserError& e) {
    EXPECT_STREQ(e.what(), "[attention] expected at most 4 keys with score position (attention.positions); found 5");
  }
}

}  // namespace
}  // namespace attend::nn
