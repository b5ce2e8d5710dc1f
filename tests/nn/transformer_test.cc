#include "attend/nn/transformer.h"

#include <cmath>
#include <set>

#include "attend/spec/validate.h"
#include "tests/nn/translator.h"

namespace attend::nn {
namespace {

using at::Tensor;
using spec::Score;

const std::vector<int64_t> kSource = {5, 2, 1, 4};

std::vector<spec::Positions> AllPositions() {
  std::vector<spec::Positions> out;
#define ATTEND_POSITION(name, options, ...) out.emplace_back(spec::options{});
#include "attend/spec/positions.def"
#undef ATTEND_POSITION
  for (spec::Positions& p : out) {
    if (auto* learned = std::get_if<spec::LearnedPositions>(&p)) learned->maximum = 16;
    if (auto* relative = std::get_if<spec::RelativePositions>(&p)) *relative = {8, 8};
  }
  return out;
}

std::string Named(const spec::Positions& positions) {
  return std::string(std::visit([](const auto& p) { return p.kKind; }, positions));
}

LayerSpec Spec(Score score = Score::scaled_dot, int64_t heads = 2) {
  LayerSpec spec;
  spec.score = score;
  spec.heads = heads;
  return spec;
}

void Shrink(TransformerOptions& o) {
  o.layers = 2;
  o.size = kState;
  o.feed_forward = 12;
  o.embedding_dropout = o.dropout = 0;
}
TransformerEncoderOptions SmallEncoder(const spec::Positions& positions = spec::SinusoidalPositions{},
                                       const LayerSpecs& attention = Spec()) {
  TransformerEncoderOptions o;
  Shrink(o);
  o.positions = positions;
  o.attention = attention;
  return o;
}
TransformerDecoderOptions SmallDecoder(const spec::Positions& positions = spec::SinusoidalPositions{}, const LayerSpecs& self = Spec(),
                                       const LayerSpecs& cross = Spec()) {
  TransformerDecoderOptions o;
  Shrink(o);
  o.positions = positions;
  o.attention.self = self;
  o.attention.cross = cross;
  return o;
}

// Every mechanism in self- or cross-attention, each varied alone, that a decoder of transformers may have.
std::vector<std::pair<std::string, LayerSpec>> Specs(bool self) {
  std::vector<std::pair<std::string, LayerSpec>> out;
  const auto add = [&](const std::string& name, const std::function<void(LayerSpec&)>& change) {
    LayerSpec spec = Spec();
    change(spec);
    if (self) spec.causal = true;
    if (!spec::Validate(spec)) out.emplace_back(name, spec);
  };
  for (Score score : All<Score>()) add("score " + std::string(Name(score)), [&](LayerSpec& s) { s.score = score; });
  for (spec::Normaliser n : All<spec::Normaliser>()) add("normaliser " + std::string(Name(n)), [&](LayerSpec& s) { s.normaliser = n; });
  add("window", [](LayerSpec& s) { s.support = spec::WindowSupport{2, {}}; });
  add("window and a global key", [](LayerSpec& s) {
    s.support = spec::WindowSupport{1, {}};
    s.global_keys = 1;
  });
  add("block", [](LayerSpec& s) { s.support = spec::BlockSupport{2, 1}; });
  add("monotonic", [](LayerSpec& s) { s.support = spec::MonotonicSupport{1}; });
  add("predictive", [](LayerSpec& s) { s.support = spec::PredictiveSupport{2}; });
  add("hard", [](LayerSpec& s) { s.readout = spec::HardReadout{}; });
  add("grouped", [](LayerSpec& s) {
    s.heads = 4;
    s.key_value_heads = 2;
  });
  add("one key head", [](LayerSpec& s) {
    s.score = Score::additive;
    s.heads = 4;
    s.key_value_heads = 1;
  });
  if (!self) {
    add("coverage", [](LayerSpec& s) { s.coverage = true; });
    add("additive with coverage", [](LayerSpec& s) {
      s.score = Score::additive;
      s.coverage = true;
    });
  }
  return out;
}

// One head of attention, written down once more: softmax of q.k / sqrt(d) over what is visible, in double.
TEST(Transformer, MultiHeadAttentionIsThatOfThePaper) {
  struct Model : Module {
    std::shared_ptr<Attention> attention;
    Model() {
      LayerSpec spec = Spec();
      attention = register_module("attention", std::make_shared<Attention>(spec, 6, 10, 8, 0, Projections::all));
      Materialise(*this, 3);
      to(at::kDouble);
    }
  } model;
  const at::NoGradGuard no_grad;
  torch::manual_seed(2);
  const Tensor x = torch::randn({3, 4, 6}, torch::kDouble), memory = torch::randn({3, 5, 10}, torch::kDouble);
  Context context;
  const Tensor found = model.attention->Forward(x, model.attention->Prepare(memory, {}), context);
  auto weights = model.attention->named_parameters();
  ASSERT_EQ(weights.size(), 4u);
  const Tensor q = x.matmul(weights["query.weight"].t()), k = memory.matmul(weights["key.weight"].t()),
               v = memory.matmul(weights["value.weight"].t());
  std::vector<Tensor> heads;
  for (int64_t h : {0, 1}) {
    const auto of = [&](const Tensor& t) { return t.slice(2, 4 * h, 4 * h + 4); };
    heads.push_back(torch::softmax(of(q).matmul(of(k).transpose(1, 2)) / 2, -1).matmul(of(v)));
  }
  EXPECT_LE(Distance(found, torch::cat(heads, 2).matmul(weights["output.weight"].t())), 1e-14);
}

TEST(Transformer, OneProductOfAllProjectionsIsTheSame) {
  for (const auto& [name, spec] : Specs(true)) {
    SCOPED_TRACE(name);
    struct Model : Module {
      std::shared_ptr<Attention> attention;
      explicit Model(const LayerSpec& s) {
        attention = register_module("attention", std::make_shared<Attention>(s, 8, 8, 8, 0, Projections::all));
        Materialise(*this, 3);
        to(at::kDouble);
      }
    } model(spec);
    const Tensor x = torch::randn({3, 4, 8}, torch::kDouble), lengths = torch::tensor({4, 1, 3});
    Context context;
    const Tensor joint = model.attention->ForwardSelf(x, lengths, context, {});
    const at::NoGradGuard no_grad;
    EXPECT_LE(Distance(joint, model.attention->Forward(x, model.attention->Prepare(x, lengths), context)), 1e-14);
  }
}

TEST(Transformer, GradientsAreThoseOfCentralDifferences) {
  const Tensor source = Ids(kSource, 1), lengths = torch::tensor(kSource), inputs = Ids({6, 6, 6, 6}, 2);
  const auto check = [&](const std::string& name, const TransformerEncoderOptions& e, const TransformerDecoderOptions& d) {
    SCOPED_TRACE(name);
    const Translator model(e, d);
    const Tensor weights = torch::randn({4, 6, kState}, torch::kDouble);
    CheckGradients(model, [&] {
      Context context = Pass(true, 3, 9, {4, 8, 15, 16});
      return (model.Forward(source, lengths, inputs, context) * weights).sum();
    });
  };
  for (const spec::Positions& positions : AllPositions()) check(Named(positions), SmallEncoder(positions), SmallDecoder(positions));
  for (const Activation activation : All<Activation>())
    for (const NormKind norm : All<NormKind>())
      for (bool pre : {false, true}) {
        auto e = SmallEncoder();
        auto d = SmallDecoder();
        for (TransformerOptions* o : {static_cast<TransformerOptions*>(&e), static_cast<TransformerOptions*>(&d)}) {
          o->activation = activation;
          o->norm = norm;
          o->pre_norm = pre;
          o->embedding_dropout = o->dropout = o->activation_dropout = 0.3;
        }
        if (activation == Activation::relu) d.activation = Activation::gelu;  // central differences step over the corner
        e.activation = d.activation;
        check(std::string(Name(activation)) + " " + std::string(Name(norm)) + (pre ? " pre" : " post"), e, d);
      }
}

// Without positions an encoder's outputs are permuted with its inputs; with any of them they are not.
TEST(Transformer, AnEncoderIsEquivariantWithoutPositionsAlone) {
  const Tensor ids = torch::tensor({{1, 2, 3, 4, 5, 6}}), lengths = torch::tensor({6}), order = torch::tensor({3, 0, 5, 1, 4, 2});
  for (const spec::Positions& positions : AllPositions()) {
    const Translator model(SmallEncoder(positions), SmallDecoder());
    const at::NoGradGuard no_grad;
    Context context;
    const Tensor whole = model.encoder->Forward(ids, lengths, context).states;
    const Tensor permuted = model.encoder->Forward(ids.index_select(1, order), lengths, context).states;
    const double apart = Distance(permuted, whole.index_select(1, order));
    if (std::holds_alternative<spec::NoPositions>(positions))
      EXPECT_LE(apart, 1e-12);
    else
      EXPECT_GE(apart, 1e-3) << Named(positions);
  }
}

// What is relative does not change when all tokens move together: the last tokens of a longer sequence, with what stands before hidden.
TEST(Transformer, RelativePositionsAreRelative) {
  const Tensor ids = torch::tensor({{1, 1, 1, 1, 2, 3, 4, 5}});
  for (const spec::Positions& positions : AllPositions()) {
    const bool absolute =
        std::holds_alternative<spec::SinusoidalPositions>(positions) || std::holds_alternative<spec::LearnedPositions>(positions);
    LayerSpec near = Spec();
    near.support = spec::WindowSupport{1, {}};
    const Translator model(SmallEncoder(), SmallDecoder(positions, near));
    const at::NoGradGuard no_grad;
    Context context;
    const Memory memory = model.encoder->Forward(torch::tensor({{1, 2}}), torch::tensor({2}), context);
    // Two layers of a window that looks back one token: the last token sees three.
    const Tensor whole = model.decoder->Forward(memory, ids, context), late = model.decoder->Forward(memory, ids.slice(1, 4), context);
    const double apart = Distance(whole.select(1, 7), late.select(1, 3));
    if (absolute)
      EXPECT_GE(apart, 1e-3) << Named(positions);
    else
      EXPECT_LE(apart, 1e-12) << Named(positions);
  }
}

TEST(Transformer, StepsEqualTeacherForcing) {
  const Tensor source = Ids(kSource, 1), lengths = torch::tensor(kSource), inputs = Ids({40, 40, 40, 40}, 2);
  const int32_t rows[] = {0, 1, 2, 3};
  const auto check = [&](const std::string& name, const TransformerDecoderOptions& d) {
    SCOPED_TRACE(name);
    const Translator model(SmallEncoder(), d);
    const at::NoGradGuard no_grad;
    Context context;
    context.maps = search::Maps::all;
    const Memory memory = model.encoder->Forward(source, lengths, context);
    context.recorded.clear();
    const Tensor all = model.decoder->Forward(memory, inputs, context);
    Context stepping;
    stepping.maps = search::Maps::all;
    const auto steps = model.decoder->Start(memory, stepping);
    for (int64_t t = 0; t < inputs.size(1); t++) {
      stepping.recorded.clear();
      steps->Select(rows);
      ASSERT_LE(Distance(steps->Step(inputs.select(1, t), stepping), all.select(1, t)), 1e-12) << "step " << t;
      ASSERT_EQ(stepping.recorded.size(), context.recorded.size());
      for (size_t m = 0; m < context.recorded.size(); m++) {
        const RecordedMap &one = stepping.recorded[m], &of_all = context.recorded[m];
        EXPECT_EQ(one.path, of_all.path);
        EXPECT_EQ(one.kind, of_all.kind);
        const Tensor expected = of_all.weights.slice(2, t, t + 1);
        ASSERT_LE(Distance(one.weights, expected.slice(3, 0, one.weights.size(3))), 1e-12) << one.path << " step " << t;
      }
    }
  };
  auto wide = spec::LearnedPositions{64};
  for (const spec::Positions& positions : AllPositions())
    check(Named(positions), SmallDecoder(std::holds_alternative<spec::LearnedPositions>(positions) ? spec::Positions(wide) : positions));
  for (const auto& [name, spec] : Specs(true)) check("self " + name, SmallDecoder(spec::SinusoidalPositions{}, spec));
  for (const auto& [name, spec] : Specs(false)) check("cross " + name, SmallDecoder(spec::SinusoidalPositions{}, Spec(), spec));
}

// Rows that are dropped, repeated and reordered at every step, as beams are, against each row's whole prefix by teacher forcing.
TEST(Transformer, BeamsReadTheCacheOfTheirParents) {
  const Tensor source = Ids(kSource, 1), lengths = torch::tensor(kSource);
  const auto check = [&](const std::string& name, const TransformerDecoderOptions& d) {
    SCOPED_TRACE(name);
    const Translator model(SmallEncoder(), d);
    const at::NoGradGuard no_grad;
    Context context;
    const Memory memory = model.encoder->Forward(source, lengths, context);
    const auto steps = model.decoder->Start(memory, context);
    std::vector<std::vector<int64_t>> prefixes(4);
    std::vector<int64_t> sentences = {0, 1, 2, 3};
    torch::manual_seed(11);
    for (int64_t t = 0; t < 9; t++) {
      const std::vector<std::vector<int32_t>> parents = {{0, 1, 2, 3},
                                                         {0, 0, 1, 1, 2, 2, 3, 3},
                                                         {1, 0, 3, 3, 2, 5, 5, 7, 6, 6},
                                                         {9, 0, 4, 4, 4, 2, 1},
                                                         {6, 5, 4, 3, 2, 1, 0},
                                                         {2, 2, 3},
                                                         {0, 1, 2},
                                                         {2, 2, 1, 1, 0, 0},
                                                         {5, 0}};
      const auto& from = parents[static_cast<size_t>(t)];
      std::vector<std::vector<int64_t>> next;
      std::vector<int64_t> of;
      const Tensor tokens = torch::randint(1, kVocabulary, {static_cast<int64_t>(from.size())}, torch::kLong);
      for (size_t i = 0; i < from.size(); i++) {
        next.push_back(prefixes[static_cast<size_t>(from[i])]);
        next.back().push_back(tokens[static_cast<int64_t>(i)].item<int64_t>());
        of.push_back(sentences[static_cast<size_t>(from[i])]);
      }
      prefixes = next;
      sentences = of;
      steps->Select(from);
      const Tensor found = steps->Step(tokens, context);
      for (size_t i = 0; i < from.size(); i++) {
        const auto row = [&](const Tensor& x) { return x.slice(0, of[i], of[i] + 1); };
        const Memory own = {row(memory.states), row(memory.lengths), row(memory.summary)};
        const Tensor whole = model.decoder->Forward(own, torch::tensor(prefixes[i]).unsqueeze(0), context);
        ASSERT_LE(Distance(found[static_cast<int64_t>(i)], whole[0][t]), 1e-12) << "step " << t << " row " << i;
      }
    }
  };
  for (const spec::Positions& positions : AllPositions()) check(Named(positions), SmallDecoder(positions, Spec(), Spec()));
  for (const auto& [name, spec] : Specs(true)) check("self " + name, SmallDecoder(spec::AlibiPositions{}, spec));
  for (const auto& [name, spec] : Specs(false)) check("cross " + name, SmallDecoder(spec::SinusoidalPositions{}, Spec(), spec));
}

TEST(Transformer, AnyEncoderGoesWithAnyDecoder) {
  const Tensor source = Ids(kSource, 1), lengths = torch::tensor(kSource), inputs = Ids({6, 6, 6, 6}, 2);
  const auto check = [&](const std::string& name, const auto& e, const auto& d) {
    SCOPED_TRACE(name);
    const Translator model(e, d);
    const Tensor weights = torch::randn({4, 6, model.decoder->output_size()}, torch::kDouble);
    CheckGradients(model, [&] {
      Context context;
      return (model.Forward(source, lengths, inputs, context) * weights).sum();
    });
    const at::NoGradGuard no_grad;
    Context context;
    const Memory memory = model.encoder->Forward(source, lengths, context);
    const Tensor all = model.decoder->Forward(memory, inputs, context);
    const auto steps = model.decoder->Start(memory, context);
    for (int64_t t = 0; t < inputs.size(1); t++)
      ASSERT_LE(Distance(steps->Step(inputs.select(1, t), context), all.select(1, t)), 1e-12) << "step " << t;
  };
  const auto rnn_encoder = TinyEncoder(spec::Cell::gru);
  const auto rnn_decoder = TinyDecoder(spec::Cell::gru, spec::Fusion::conditional);
  auto transformer_decoder = SmallDecoder();
  transformer_decoder.activation = Activation::gelu;
  auto transformer_encoder = SmallEncoder();
  transformer_encoder.activation = Activation::gelu;
  check("recurrent, transformer", rnn_encoder, transformer_decoder);
  check("transformer, recurrent", transformer_encoder, rnn_decoder);
}

// Decoders without a memory: language models.
TEST(LanguageModel, StepsEqualTeacherForcing) {
  const Tensor inputs = Ids({9, 9, 9, 9}, 2);
  const auto check = [&](const std::string& name, const std::shared_ptr<SequenceDecoder>& decoder) {
    SCOPED_TRACE(name);
    struct Model : Module {
      explicit Model(const std::shared_ptr<SequenceDecoder>& d) {
        register_module("decoder", d);
        Materialise(*this, 1);
        to(at::kDouble);
      }
    } model(decoder);
    const Memory none = {{}, torch::zeros({4}, torch::kLong), {}};
    const Tensor weights = torch::randn({4, 9, decoder->output_size()}, torch::kDouble);
    CheckGradients(model, [&] {
      Context context;
      return (decoder->Forward(none, inputs, context) * weights).sum();
    });
    const at::NoGradGuard no_grad;
    Context context, stepping;
    context.maps = stepping.maps = search::Maps::all;
    const Tensor all = decoder->Forward(none, inputs, context);
    const auto steps = decoder->Start(none, stepping);
    const std::vector<int32_t> order = {2, 0, 3, 1};  // rows that change places
    std::vector<int32_t> at = {0, 1, 2, 3};
    for (int64_t t = 0; t < inputs.size(1); t++) {
      std::vector<int32_t> next;
      for (const int32_t o : order) next.push_back(at[static_cast<size_t>(o)]);
      at = next;
      stepping.recorded.clear();
      steps->Select(order);
      const Tensor rows = torch::tensor(std::vector<int64_t>(at.begin(), at.end()));
      ASSERT_LE(Distance(steps->Step(inputs.select(1, t).index_select(0, rows), stepping), all.select(1, t).index_select(0, rows)), 1e-12)
          << "step " << t;
      ASSERT_EQ(stepping.recorded.size(), context.recorded.size());
      for (size_t m = 0; m < context.recorded.size(); m++) {
        const Tensor one = stepping.recorded[m].weights, expected = context.recorded[m].weights.index_select(0, rows).slice(2, t, t + 1);
        ASSERT_LE(Distance(one, expected.slice(3, 0, one.size(3))), 1e-12) << "map " << m << " step " << t;
      }
    }
  };
  for (const Activation activation : {Activation::gelu, Activation::swiglu}) {
    auto options = SmallDecoder();
    options.activation = activation;
    check("transformer", std::make_shared<TransformerDecoder>(options, 0, kVocabulary, kPadding));
  }
  for (spec::Cell cell : All<spec::Cell>())
    for (spec::Fusion fusion : All<spec::Fusion>())
      for (Score score : {Score::additive, Score::dot}) {
        auto options = TinyDecoder(cell, fusion, score);
        if (fusion == spec::Fusion::combine && score == Score::dot) continue;  // a query of another size
        options.layers = 2;
        check(std::string(Name(cell)) + " " + std::string(Name(fusion)) + " " + std::string(Name(score)),
              std::make_shared<RecurrentDecoder>(options, 0, kVocabulary, kPadding));
        options.attention.support = spec::WindowSupport{2, {}};
        check(std::string(Name(cell)) + " " + std::string(Name(fusion)) + " window",
              std::make_shared<RecurrentDecoder>(options, 0, kVocabulary, kPadding));
      }
}

// Two pieces with the state carried between them are one whole where nothing looks back but the state.
TEST(LanguageModel, StatesAreCarriedFromPieceToPiece) {
  for (spec::Cell cell : All<spec::Cell>())
    for (spec::Fusion fusion : {spec::Fusion::none, spec::Fusion::output}) {
      auto options = TinyDecoder(cell, fusion);
      options.layers = 2;
      const auto decoder = std::make_shared<RecurrentDecoder>(options, 0, kVocabulary, kPadding);
      struct Model : Module {
        explicit Model(const std::shared_ptr<SequenceDecoder>& d) {
          register_module("decoder", d);
          Materialise(*this, 1);
          to(at::kDouble);
        }
      } model(decoder);
      const at::NoGradGuard no_grad;
      const Tensor inputs = Ids({8, 8, 8}, 2);
      const Memory none = {{}, torch::zeros({3}, torch::kLong), {}};
      Context context;
      Carried carried;
      const Tensor whole = decoder->Forward(none, inputs, context);
      const Tensor first = decoder->Forward(none, inputs.slice(1, 0, 5), context, &carried);
      ASSERT_EQ(carried.size(), ops::HasMemory(cell) ? 4u : 2u);
      const Tensor second = decoder->Forward(none, inputs.slice(1, 5), context, &carried);
      EXPECT_LE(Distance(first, whole.slice(1, 0, 5)), 1e-13);
      if (fusion == spec::Fusion::none)
        EXPECT_LE(Distance(second, whole.slice(1, 5)), 1e-13);
      else  // attention begins anew
        EXPECT_GE(Distance(second, whole.slice(1, 5)), 1e-4);
    }
}

// How many operations a result remembers.
size_t Nodes(const Tensor& of) {
  std::set<torch::autograd::Node*> seen;
  std::vector<torch::autograd::Node*> left = {of.grad_fn().get()};
  while (!left.empty()) {
    torch::autograd::Node* node = left.back();
    left.pop_back();
    if (!node || !seen.insert(node).second) continue;
    for (const auto& edge : node->next_edges()) left.push_back(edge.function.get());
  }
  return seen.size();
}

// Inner values that are computed again give the gradients of those that are kept, bit for bit, with dropout and whatever positions are.
// What layers share gets its sum in another order: a layer at a time.
TEST(Transformer, CheckpointingChangesNothing) {
  const Tensor source = Ids(kSource, 1), lengths = torch::tensor(kSource), inputs = Ids({6, 6, 6, 6}, 2);
  for (const spec::Positions& positions : AllPositions()) {
    SCOPED_TRACE(Named(positions));
    auto e = SmallEncoder(positions);
    auto d = SmallDecoder(positions);
    for (TransformerOptions* o : {static_cast<TransformerOptions*>(&e), static_cast<TransformerOptions*>(&d)})
      o->embedding_dropout = o->dropout = o->activation_dropout = 0.3;
    d.attention.self[0].dropout = 0.2;
    const Translator model(e, d);
    const Tensor weights = torch::randn({4, 6, kState}, torch::kDouble);
    const auto loss = [&](bool recompute) {
      Context context = Pass(true, 3, 9, {4, 8, 15, 16});
      context.recompute = recompute;
      return (model.Forward(source, lengths, inputs, context) * weights).sum();
    };
    const auto gradients = [&](bool recompute) { return torch::autograd::grad({loss(recompute)}, model.parameters()); };
    const auto nodes = [&](bool recompute) { return Nodes(loss(recompute)); };
    const auto kept = gradients(false), again = gradients(true);
    EXPECT_GT(nodes(false), 3 * nodes(true));  // a layer is one operation
    const auto parameters = model.named_parameters();
    for (size_t i = 0; i < kept.size(); i++) {
      const bool shared = parameters[i].key().find("positions") != std::string::npos;
      EXPECT_LE(Distance(kept[i], again[i]), shared ? 1e-12 : 0) << parameters[i].key();
    }
  }
}

TEST(Transformer, ADecoderSeesNothingAhead) {
  const Tensor source = Ids(kSource, 1), lengths = torch::tensor(kSource), inputs = Ids({6, 6, 6, 6}, 2);
  for (const auto& [name, spec] : Specs(true)) {
    const Translator model(SmallEncoder(), SmallDecoder(spec::SinusoidalPositions{}, spec));
    const at::NoGradGuard no_grad;
    Context context;
    const Memory memory = model.encoder->Forward(source, lengths, context);
    Tensor other = inputs.clone();
    other.slice(1, 4).copy_((other.slice(1, 4) % 6) + 1);
    const Tensor a = model.decoder->Forward(memory, inputs, context), b = model.decoder->Forward(memory, other, context);
    EXPECT_LE(Distance(a.slice(1, 0, 4), b.slice(1, 0, 4)), 1e-13) << name;
    EXPECT_GE(Distance(a.slice(1, 4), b.slice(1, 4)), 1e-3) << name;
  }
}

TEST(Transformer, ASentenceAloneEqualsTheSameInABatch) {
  const Tensor source = Ids(kSource, 1), lengths = torch::tensor(kSource), inputs = Ids({3, 6, 1, 4}, 2);
  const std::vector<int64_t> examples = {11, 7, 1000000007, 0};
  for (const spec::Positions& positions : AllPositions())
    for (bool training : {false, true}) {
      SCOPED_TRACE(Named(positions));
      auto e = SmallEncoder(positions);
      auto d = SmallDecoder(positions);
      for (TransformerOptions* o : {static_cast<TransformerOptions*>(&e), static_cast<TransformerOptions*>(&d)})
        o->embedding_dropout = o->dropout = o->activation_dropout = 0.4;
      e.attention[0].dropout = d.attention.self[0].dropout = d.attention.cross[0].dropout = 0.3;
      const Translator model(e, d);
      Context context = Pass(training, 42, 17, examples);
      const Tensor all = model.Forward(source, lengths, inputs, context);
      const int64_t steps[] = {3, 6, 1, 4};
      for (int64_t i = 0; i < 4; i++) {
        const int64_t s = kSource[static_cast<size_t>(i)], t = steps[i];
        Context alone = Pass(training, 42, 17, {examples[static_cast<size_t>(i)]});
        const Tensor one = model.Forward(source.slice(0, i, i + 1).slice(1, 0, s), lengths.slice(0, i, i + 1),
                                         inputs.slice(0, i, i + 1).slice(1, 0, t), alone);
        EXPECT_LE(Distance(one[0], all[i].slice(0, 0, t)), 1e-12) << "row " << i;
      }
    }
}

// Lists by layer and role: the maps show what each layer sees.
TEST(Transformer, LayersHaveTheAttentionOfTheirOwn) {
  LayerSpec block = Spec(), global = Spec(Score::additive), whole = Spec();
  block.support = spec::BlockSupport{3, 0};
  block.layers = 2;
  global.support = spec::WindowSupport{1, 1};
  global.global_keys = 1;
  TransformerEncoderOptions e = SmallEncoder();
  e.layers = 4;
  e.attention = LayerSpecs{block, global, whole};
  const Translator model(e, SmallDecoder());
  const at::NoGradGuard no_grad;
  Context context;
  context.maps = search::Maps::all;
  model.encoder->Forward(Ids({9, 7}, 1), torch::tensor({9, 7}), context);
  ASSERT_EQ(context.recorded.size(), 4u);
  for (size_t layer = 0; layer < 4; layer++) {
    const RecordedMap& map = context.recorded[layer];
    EXPECT_EQ(map.path, "encoder.layer" + std::to_string(layer + 1) + ".self");
    EXPECT_EQ(map.kind, MapKind::source);
    ASSERT_EQ(map.weights.sizes(), at::IntArrayRef({2, 2, 9, 9}));
    for (int64_t i = 0; i < 9; i++)
      for (int64_t j = 0; j < 9; j++) {
        const bool sees = layer < 2 ? i / 3 == j / 3 : layer == 2 ? std::abs(i - j) <= 1 || j == 0 : true;
        for (int64_t h = 0; h < 2; h++) EXPECT_EQ(map.weights[0][h][i][j].item<double>() > 0, sees) << layer << " " << i << " " << j;
      }
  }
}

TEST(Transformer, WhatDoesNotFitTogetherIsAnError) {
  const auto error = [](const TransformerEncoderOptions& e, const TransformerDecoderOptions& d) -> std::string {
    try {
      const Translator model(e, d);
    } catch (const UserError& found) {
      return found.what();
    }
    return "";
  };
  TransformerEncoderOptions e = SmallEncoder();
  e.attention = LayerSpecs{Spec(), Spec(), Spec()};
  EXPECT_EQ(error(e, SmallDecoder()), "[model.encoder.attention] expected the attention of 2 layers, or one for all; found a list for 3");
  EXPECT_NE(
      error(SmallEncoder(spec::RotaryPositions{}, Spec(Score::additive)), SmallDecoder()).find("a score of products with rotary positions"),
      std::string::npos);
  EXPECT_NE(error(SmallEncoder(spec::RotaryPositions{}, Spec(Score::dot, 8)), SmallDecoder()).find("heads of an even width"),
            std::string::npos);
  EXPECT_NE(error(SmallEncoder(spec::RelativePositions{}, LayerSpecs{Spec(Score::dot, 1), Spec(Score::dot, 2)}), SmallDecoder())
                .find("layers of equally many heads with relative positions"),
            std::string::npos);
  LayerSpec covered = Spec();
  covered.coverage = true;
  EXPECT_NE(error(SmallEncoder(spec::NoPositions{}, covered), SmallDecoder()).find("coverage of self-attention"), std::string::npos);
  EXPECT_NE(error(SmallEncoder(spec::NoPositions{}, Spec(Score::dot, 3)), SmallDecoder()).find("8 with 3 heads"), std::string::npos);
}

TEST(Positions, SinusoidsAreThoseOfThePaper) {
  const auto positions = MakePositions(spec::SinusoidalPositions{}, {6, 1, false});
  const Tensor found = positions->Embedding({7, 3, 10}, torch::TensorOptions().dtype(torch::kDouble));
  ASSERT_EQ(found.sizes(), at::IntArrayRef({3, 6}));
  for (int64_t t = 0; t < 3; t++)
    for (int64_t l = 0; l < 3; l++) {
      const double angle = static_cast<double>(t + 7) / std::pow(10000, 2.0 * static_cast<double>(l) / 6);
      EXPECT_NEAR(found[t][2 * l].item<double>(), std::sin(angle), 1e-14);
      EXPECT_NEAR(found[t][2 * l + 1].item<double>(), std::cos(angle), 1e-14);
    }
}

// The buckets of T5's published program for 32 buckets up to a distance of 128: those of single distances, and where the ranges begin.
TEST(Positions, RelativeBucketsAreThoseOfT5) {
  for (bool causal : {false, true}) {
    const auto positions = MakePositions(spec::RelativePositions{32, 128}, {4, 1, causal});
    const at::NoGradGuard no_grad;
    Tensor weight = positions->parameters()[0];
    weight.copy_(torch::arange(32).to(torch::kFloat).view({1, 32}));
    ops::AttentionArgs args;
    positions->At({200, 1, 401}, {})->Add(args, 1);
    const Tensor bucket = args.attn_bias.flatten();
    ASSERT_EQ(bucket.numel(), 401);
    // The least distance of each bucket; of causal ones those that Raffel et al.'s program gives, of others likewise for 16 a side.
    const std::vector<int64_t> least = causal ? std::vector<int64_t>{0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                                                     16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113}
                                              : std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91};
    const auto expected = [&](int64_t ahead) -> int64_t {
      const int64_t distance = causal ? std::max<int64_t>(-ahead, 0) : std::abs(ahead);
      const auto above = std::upper_bound(least.begin(), least.end(), distance);
      return std::distance(least.begin(), above) - 1 + (!causal && ahead > 0 ? 16 : 0);
    };
    for (int64_t j = 0; j < 401; j++) EXPECT_EQ(bucket[j].item<int64_t>(), expected(j - 200)) << j - 200 << causal;
    EXPECT_EQ(bucket[200].item<int64_t>(), 0);
    EXPECT_EQ(bucket[0].item<int64_t>(), causal ? 31 : 15);
    EXPECT_EQ(bucket[400].item<int64_t>(), causal ? 0 : 31);
  }
}

TEST(Positions, SlopesOfAlibiAreThoseOfThePaper) {
  ops::AttentionArgs args;
  MakePositions(spec::AlibiPositions{}, {8, 8, false})->At({0, 3, 3}, torch::TensorOptions().dtype(torch::kDouble))->Add(args, 8);
  for (int64_t h = 0; h < 8; h++) EXPECT_NEAR(args.alibi_slopes[h].item<double>(), std::pow(0.5, h + 1), 1e-15);
}

TEST(Positions, TooManyTokensForLearnedOnesAreAnError) {
  const auto positions = MakePositions(spec::LearnedPositions{5}, {4, 1, false});
  EXPECT_EQ(positions->Embedding({2, 3, 5}, {}).sizes(), at::IntArrayRef({3, 4}));
  EXPECT_THROW(positions->Embedding({3, 3, 6}, {}), UserError);
}

}  // namespace
}  // namespace attend::nn
