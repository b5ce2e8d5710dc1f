#include <sstream>

#include "tests/nn/translator.h"

namespace attend::nn {
namespace {

using at::Tensor;
using spec::Cell;
using spec::Fusion;
using spec::Score;

const std::vector<int64_t> kSource = {5, 2, 1, 4}, kTarget = {3, 6, 1, 4};

std::string Describe(Cell cell, Fusion fusion, Score score, int64_t layers, bool norm) {
  std::ostringstream out;
  out << Name(cell) << " " << Name(fusion) << " " << Name(score) << " layers " << layers << (norm ? " normalised" : "");
  return out.str();
}

TEST(RecurrentDecoder, GradientsAreThoseOfCentralDifferences) {
  const Tensor source = Ids(kSource, 1), lengths = torch::tensor(kSource), inputs = Ids({6, 6, 6, 6}, 2);
  for (Cell cell : All<Cell>())
    for (Fusion fusion : All<Fusion>())
      for (Score score : All<Score>()) {
        if (score != Score::additive && (fusion != Fusion::conditional || cell != Cell::gru)) continue;
        for (bool norm : {false, true}) {
          if (norm && score != Score::additive) continue;
          SCOPED_TRACE(Describe(cell, fusion, score, 2, norm));
          const Translator model(TinyEncoder(cell, 2, norm), TinyDecoder(cell, fusion, score, 2, norm));
          const Tensor weights = torch::randn({4, 6, model.decoder->output_size()}, torch::kDouble);
          CheckGradients(model, [&] {
            Context context;
            return (model.Forward(source, lengths, inputs, context) * weights).sum();
          });
        }
      }
}

// Dropout and recorded maps are part of the graph too.
TEST(RecurrentDecoder, GradientsWithDropoutAndThroughMaps) {
  const Tensor source = Ids(kSource, 1), lengths = torch::tensor(kSource),
               inputs = Ids({6, 6, 6, 6}, 2);  // the padding id would take no gradient
  for (Fusion fusion : {Fusion::input, Fusion::conditional, Fusion::output, Fusion::feed, Fusion::combine, Fusion::gate}) {
    SCOPED_TRACE(Name(fusion));
    const Translator model(TinyEncoder(Cell::gru, 2, false, 0.3), TinyDecoder(Cell::gru, fusion, Score::additive, 2, false, 0.3));
    const Tensor weights = torch::randn({4, 6, model.decoder->output_size()}, torch::kDouble),
                 looks = torch::randn({4, 1, 6, 5}, torch::kDouble);
    CheckGradients(model, [&] {
      Context context = Pass(true, 3, 9, {4, 8, 15, 16});
      context.maps = search::Maps::all;
      const Tensor out = model.Forward(source, lengths, inputs, context);
      return (out * weights).sum() + (context.recorded.at(0).weights * looks).sum();
    });
  }
}

std::vector<spec::AttentionSpec> Supports() {
  std::vector<spec::AttentionSpec> out(9);
  out[1].support = spec::WindowSupport{1, 1};
  out[2].support = spec::WindowSupport{{}, 2};
  out[3].causal = true;
  out[4].support = spec::BlockSupport{2, 1};
  out[4].global_keys = 1;
  out[5].support = spec::MonotonicSupport{1};
  out[6].support = spec::PredictiveSupport{2};
  out[7].coverage = true;
  out[8].coverage = true;
  out[8].heads = 2;
  out[8].key_value_heads = 1;
  for (auto& s : out) s.score = Score::additive;
  return out;
}

TEST(RecurrentDecoder, StepsEqualTeacherForcing) {
  const Tensor source = Ids(kSource, 1), lengths = torch::tensor(kSource), inputs = Ids({6, 6, 6, 6}, 2);
  const int32_t rows[] = {0, 1, 2, 3};
  for (Cell cell : All<Cell>())
    for (Fusion fusion : All<Fusion>())
      for (int64_t layers : {1, 2})
        for (bool norm : {false, true})
          for (const spec::AttentionSpec& attention : Supports()) {
            if (norm && !std::holds_alternative<spec::AllSupport>(attention.support)) continue;
            SCOPED_TRACE(Describe(cell, fusion, attention.score, layers, norm));
            auto options = TinyDecoder(cell, fusion, attention.score, layers, norm);
            options.attention = attention;
            const Translator model(TinyEncoder(cell, layers, norm), options);
            const at::NoGradGuard no_grad;
            Context context;
            context.maps = search::Maps::all;
            const Memory memory = model.encoder->Forward(source, lengths, context);
            const Tensor all = model.decoder->Forward(memory, inputs, context);
            Context stepping;
            stepping.maps = search::Maps::all;
            const auto steps = model.decoder->Start(memory, stepping);
            for (int64_t t = 0; t < inputs.size(1); t++) {
              stepping.recorded.clear();
              steps->Select(rows);
              EXPECT_LE(Distance(steps->Step(inputs.select(1, t), stepping), all.select(1, t)), 1e-12) << "step " << t;
              ASSERT_EQ(stepping.recorded.size(), context.recorded.size());
              if (fusion == Fusion::none) continue;
              EXPECT_LE(Distance(stepping.recorded[0].weights, context.recorded[0].weights.slice(2, t, t + 1)), 1e-12) << "step " << t;
            }
          }
}

TEST(RecurrentDecoder, ASentenceAloneEqualsTheSameInABatch) {
  const Tensor source = Ids(kSource, 1), lengths = torch::tensor(kSource), inputs = Ids(kTarget, 2);
  for (Cell cell : All<Cell>())
    for (Fusion fusion : All<Fusion>())
      for (bool norm : {false, true})
        for (bool training : {false, true}) {
          SCOPED_TRACE(Describe(cell, fusion, Score::additive, 2, norm) + (training ? " with dropout" : ""));
          const Translator model(TinyEncoder(cell, 2, norm, 0.4), TinyDecoder(cell, fusion, Score::additive, 2, norm, 0.4));
          const std::vector<int64_t> examples = {11, 7, 1000000007, 0};
          Context context = Pass(training, 42, 17, examples);
          const Tensor all = model.Forward(source, lengths, inputs, context);
          for (int64_t i = 0; i < 4; i++) {
            const int64_t s = kSource[static_cast<size_t>(i)], t = kTarget[static_cast<size_t>(i)];
            Context alone = Pass(training, 42, 17, {examples[static_cast<size_t>(i)]});
            const Tensor one = model.Forward(source.slice(0, i, i + 1).slice(1, 0, s), lengths.slice(0, i, i + 1),
                                             inputs.slice(0, i, i + 1).slice(1, 0, t), alone);
            EXPECT_LE(Distance(one[0], all[i].slice(0, 0, t)), 1e-12) << "row " << i;
          }
          // Another step, seed or example: another draw.
          if (!training) continue;
          for (int what = 0; what < 3; what++) {
            Context other = Pass(true, what == 0 ? 43 : 42, what == 1 ? 18 : 17, examples);
            if (what == 2) other.examples[0]++;
            EXPECT_GT(Distance(model.Forward(source, lengths, inputs, other)[0], all[0]), 1e-3) << what;
          }
        }
}

// Rows that are dropped, repeated and reordered, sentences that end: each row equals a fresh walk over its own history.
TEST(RecurrentDecoder, SelectedRowsContinueTheirParents) {
  const Tensor source = Ids(kSource, 1), lengths = torch::tensor(kSource);
  const std::vector<std::vector<int32_t>> parents = {{0, 1, 2, 3}, {0, 0, 1, 1, 3, 2}, {5, 1, 0, 3, 2, 3}, {0, 4}, {1, 0, 1}, {2}};
  for (Cell cell : All<Cell>())
    for (Fusion fusion : All<Fusion>()) {
      SCOPED_TRACE(Describe(cell, fusion, Score::additive, 2, false));
      const Translator model(TinyEncoder(cell), TinyDecoder(cell, fusion, Score::additive, 2));
      const at::NoGradGuard no_grad;
      Context context;
      const auto rows = model.decoder->Start(model.encoder->Forward(source, lengths, context), context);
      struct History {
        int64_t sentence;
        std::vector<int64_t> tokens;
      };
      std::vector<History> histories = {{0, {}}, {1, {}}, {2, {}}, {3, {}}};
      int64_t token = 1;
      for (const auto& choice : parents) {
        std::vector<History> next;
        std::vector<int64_t> tokens;
        for (int32_t p : choice) {
          next.push_back(histories[static_cast<size_t>(p)]);
          token = token % (kVocabulary - 1) + 1;
          next.back().tokens.push_back(token);
          tokens.push_back(token);
        }
        histories = next;
        rows->Select(choice);
        const Tensor out = rows->Step(torch::tensor(tokens), context);
        for (size_t i = 0; i < histories.size(); i++) {
          const int64_t s = histories[i].sentence, n = kSource[static_cast<size_t>(s)];
          const Tensor fresh = model.Forward(source.slice(0, s, s + 1).slice(1, 0, n), lengths.slice(0, s, s + 1),
                                             torch::tensor(histories[i].tokens).unsqueeze(0), context);
          EXPECT_LE(Distance(out[static_cast<int64_t>(i)], fresh[0][fresh.size(1) - 1]), 1e-12)
              << "row " << i << " of step " << histories[i].tokens.size();
        }
      }
    }
}

// Rounding of one step is a few eps of numbers of order 1, its effect on later steps stays of that order: 64 eps a step. A norm divides
// by the deviation of a few units, at worst some tenths, in each of the four layers.
TEST(RecurrentDecoder, FusedSinglePrecisionEqualsComposedDouble) {
  const Tensor source = Ids(kSource, 1), lengths = torch::tensor(kSource), inputs = Ids(kTarget, 2);
  const double eps = 0x1p-24, bound = 64 * 11 * eps;
  for (Cell cell : All<Cell>())
    for (Fusion fusion : All<Fusion>())
      for (bool norm : {false, true}) {
        SCOPED_TRACE(Describe(cell, fusion, Score::additive, 2, norm));
        const Translator fine(TinyEncoder(cell, 2, norm, 0.2), TinyDecoder(cell, fusion, Score::additive, 2, norm, 0.2));
        const Translator coarse(TinyEncoder(cell, 2, norm, 0.2), TinyDecoder(cell, fusion, Score::additive, 2, norm, 0.2), at::kFloat);
        const Tensor weights = torch::randn({4, 6, fine.decoder->output_size()}, torch::kDouble);
        const auto run = [&](const Translator& model) {
          Context context = Pass(true, 1, 2, {3, 4, 5, 6});
          const Tensor out = model.Forward(source, lengths, inputs, context);
          std::vector<Tensor> results = torch::autograd::grad({(out * weights.to(out.scalar_type())).sum()}, model.parameters());
          results.push_back(out.detach());
          return results;
        };
        {
          const at::NoGradGuard no_grad;  // the very same weights
          for (size_t i = 0; i < fine.parameters().size(); i++) fine.parameters()[i].copy_(coarse.parameters()[i]);
        }
        const auto exact = run(fine), single = run(coarse);
        for (size_t i = 0; i < exact.size(); i++) {
          // Gradients are sums over 4 rows and up to 6 steps.
          const double scale = std::max(1.0, exact[i].abs().max().item<double>()) * (i + 1 < exact.size() ? 4 : 1) * (norm ? 10 : 1);
          EXPECT_LE(Distance(exact[i], single[i]), bound * scale) << i;
        }
      }
}

TEST(RecurrentEncoder, EqualsTorchsOwn) {
  for (Cell cell : All<Cell>()) {
    SCOPED_TRACE(Name(cell));
    Translator model(TinyEncoder(cell, 2), TinyDecoder(cell, Fusion::none));
    const Tensor source = Ids({5, 5, 5}, 3);
    Context context;
    const at::NoGradGuard no_grad;
    const Memory memory = model.encoder->Forward(source, torch::tensor({5, 5, 5}, torch::kLong), context);
    const auto ours = model.encoder->named_parameters();
    const auto copy = [&](const torch::nn::Module& theirs) {
      for (auto& p : theirs.named_parameters()) {
        const std::string& name = p.key();  // weight_ih_l1_reverse
        const bool back = name.ends_with("_reverse");
        const std::string layer(1, name[name.find("_l") + 2]), kind = name.substr(0, name.find("_l"));
        const Tensor* t = ours.find((back ? "backward" : "forward") + layer + "." + kind);
        if (t)
          p.value().copy_(*t);
        else
          p.value().zero_();  // one bias serves where two would be summed
      }
    };
    const Tensor x = model.encoder->embedding().Forward(source).transpose(0, 1);
    Tensor states;
    const auto run = [&](auto& theirs) {
      theirs->to(torch::kDouble);
      copy(*theirs);
      states = std::get<0>(theirs->forward(x));
    };
    if (cell == Cell::gru) {
      torch::nn::GRU m(torch::nn::GRUOptions(3, kState / 2).num_layers(2).bidirectional(true));
      run(m);
    } else if (cell == Cell::lstm) {
      torch::nn::LSTM m(torch::nn::LSTMOptions(3, kState / 2).num_layers(2).bidirectional(true));
      run(m);
    } else {
      torch::nn::RNN m(torch::nn::RNNOptions(3, kState / 2).num_layers(2).bidirectional(true).nonlinearity(torch::kTanh));
      run(m);
    }
    EXPECT_LE(Distance(memory.states.transpose(0, 1), states), 1e-12);
    EXPECT_LE(Distance(memory.summary, torch::cat({states[4].slice(1, 0, kState / 2), states[0].slice(1, kState / 2)}, 1)), 1e-12);
  }
}

TEST(RecurrentEncoder, OneDirectionHasHalfTheSize) {
  auto options = TinyEncoder(Cell::gru);
  options.bidirectional = false;
  options.size = kState;
  const Translator model(options, TinyDecoder(Cell::gru, Fusion::conditional));
  Context context;
  const Memory memory = model.encoder->Forward(Ids(kSource, 1), torch::tensor(kSource), context);
  EXPECT_EQ(memory.states.sizes(), at::IntArrayRef({4, 5, kState}));
  EXPECT_EQ(model.encoder->size(), kState);
  for (int64_t i = 0; i < 4; i++) EXPECT_EQ(Distance(memory.summary[i], memory.states[i][kSource[static_cast<size_t>(i)] - 1]), 0);
}

// The layers above the first drop out alike whether time is walked step by step or all at once.
TEST(CellStack, StepsEqualTheWholeSequence) {
  for (Cell cell : All<Cell>())
    for (bool norm : {false, true}) {
      SCOPED_TRACE(Name(cell));
      CellStack stack(cell, 3, 5, kState, norm, 0.5, {});
      Materialise(stack, 1);
      stack.to(torch::kDouble);
      const at::NoGradGuard no_grad;
      const Tensor y = torch::randn({6, 2, 5}, torch::kDouble), gates = stack.first().Inputs(y);
      Context context = Pass(true, 1, 2, {9, 10});
      const auto start = [&] {
        DecoderState state;
        for (int i = 0; i < 3; i++) state.layers.push_back(stack.first().Zero(2));
        return state;
      };
      DecoderState whole = start(), stepped = start();
      const Tensor all = stack.Run(y, gates, whole, context);
      CellStack::Loop loop(stack, context);
      for (int64_t t = 0; t < 6; t++) {
        loop.first().Step(gates[t], {y[t], t}, stepped.layers[0]);
        EXPECT_LE(Distance(loop.Above(stepped, t), all[t]), 1e-13);
      }
      for (size_t i = 0; i < 3; i++) EXPECT_LE(Distance(whole.layers[i].h, stepped.layers[i].h), 1e-13);
    }
}

TEST(Recurrent, NoStepsGiveTheInitialState) {
  for (Cell cell : All<Cell>())
    for (bool norm : {false, true}) {
      Recurrent layer(cell, 5, kState, norm);
      Materialise(layer, 1);
      RecurrentState state = layer.Zero(2);
      const Tensor initial = state.h = torch::randn({2, kState}), x = torch::randn({0, 2, 5});
      Context context;
      const Tensor states = layer.Run(x, layer.Inputs(x), state, {}, false, context, MapKind::source);
      EXPECT_EQ(states.sizes(), at::IntArrayRef({0, 2, kState})) << Name(cell);
      EXPECT_EQ(Distance(state.h, initial), 0);
    }
}

}  // namespace
}  // namespace attend::nn
