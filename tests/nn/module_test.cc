#include "attend/nn/module.h"

#include <cmath>

#include "tests/nn/translator.h"

namespace attend::nn {
namespace {

using at::Tensor;
using spec::Cell;
using spec::Fusion;

struct Bare : Module {
  Tensor Add(const std::string& name, at::IntArrayRef shape, Init init) { return AddParameter(name, shape, init); }
};

Tensor First(Init init, at::IntArrayRef shape, uint64_t seed = 1, const std::string& name = "p") {
  Bare module;
  const Tensor p = module.Add(name, shape, init);
  Materialise(module, seed);
  return p.detach();
}

TEST(Init, ConstantOnes) {
  EXPECT_TRUE(torch::equal(First(Init::Zeros(), {3, 2}), torch::zeros({3, 2})));
  EXPECT_TRUE(torch::equal(First(Init::Ones(), {3}), torch::ones({3})));
  EXPECT_TRUE(torch::equal(First(Init::ForgetGate(), {8}), torch::tensor({0, 0, 1, 1, 0, 0, 0, 0}, torch::kFloat)));
}

// Square, tall and wide blocks: the shorter side's vectors are orthonormal.
TEST(Init, OrthogonalIsOrthogonal) {
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{16, 16}, {24, 8}, {8, 24}, {1, 1}}) {
    const Tensor p = First(Init::Orthogonal(3), {3 * rows, columns});
    for (const Tensor& block : p.chunk(3)) {
      const Tensor wide = rows <= columns ? block : block.t();
      EXPECT_LE(Distance(torch::mm(wide, wide.t()), torch::eye(wide.size(0))), 1e-5);
    }
    EXPECT_TRUE(rows * columns == 1 || Distance(p.chunk(3)[0], p.chunk(3)[1]) > 0.01);
  }
}

TEST(Init, XavierAndNormalHaveTheirDeviation) {
  // 60,000 draws: the deviation is known to 0.3 %; six times that.
  const Tensor x = First(Init::Xavier(3), {300, 200});
  const double bound = std::sqrt(6.0 / 300);
  EXPECT_LE(x.abs().max().item<double>(), bound);
  EXPECT_NEAR(x.std().item<double>(), bound / std::sqrt(3), 0.02 * bound);
  EXPECT_NEAR(x.mean().item<double>(), 0, 0.02 * bound);
  const Tensor n = First(Init::Normal(0.1), {300, 200});
  EXPECT_NEAR(n.std().item<double>(), 0.1, 0.002);
  EXPECT_NEAR(n.mean().item<double>(), 0, 0.003);
  EXPECT_NEAR((n.abs() > 0.2).to(torch::kDouble).mean().item<double>(), 0.0455, 0.006);  // normal, not uniform
}

TEST(Materialise, DependsOnSeedAndPathAlone) {
  for (const Init& init : {Init::Xavier(), Init::Normal(1), Init::Orthogonal()}) {
    EXPECT_TRUE(torch::equal(First(init, {6, 6}), First(init, {6, 6})));
    EXPECT_FALSE(torch::equal(First(init, {6, 6}), First(init, {6, 6}, 2)));
    EXPECT_FALSE(torch::equal(First(init, {6, 6}), First(init, {6, 6}, 1, "q")));
  }
  // Models that differ elsewhere share what has the same path and shape.
  struct Root : Module {
    explicit Root(Fusion fusion) {
      register_module("decoder", std::make_shared<RecurrentDecoder>(TinyDecoder(Cell::gru, fusion), kState, kVocabulary, kPadding));
      Materialise(*this, 7);
    }
  };
  const Root a(Fusion::none), b(Fusion::conditional);
  EXPECT_GT(b.named_parameters().size(), a.named_parameters().size());
  int random = 0;
  for (const auto& p : a.named_parameters()) {
    const Tensor* other = b.named_parameters().find(p.key());
    ASSERT_TRUE(other || p.key().find("fusion") != std::string::npos) << p.key();
    if (!other || other->sizes() != p.value().sizes()) continue;
    EXPECT_TRUE(torch::equal(*other, p.value())) << p.key();
    random += p.value().abs().sum().item<double>() > 0 ? 1 : 0;
  }
  EXPECT_GE(random, 4);
}

TEST(Materialise, NoTwoParametersStartAlike) {
  Translator model(TinyEncoder(Cell::lstm, 2), TinyDecoder(Cell::lstm, Fusion::conditional, spec::Score::additive, 2));
  Materialise(model, 3);
  std::map<std::vector<int64_t>, std::vector<Tensor>> by_shape;
  for (const auto& p : model.named_parameters())
    if (p.value().dim() == 2) {
      for (const Tensor& other : by_shape[p.value().sizes().vec()]) EXPECT_FALSE(torch::equal(other, p.value())) << p.key();
      by_shape[p.value().sizes().vec()].push_back(p.value());
    }
}

TEST(Materialise, GivesEveryModuleItsPath) {
  const Translator model(TinyEncoder(Cell::gru), TinyDecoder(Cell::gru, Fusion::input));
  EXPECT_EQ(model.path(), "");
  EXPECT_EQ(model.decoder->path(), "decoder");
  EXPECT_EQ(model.decoder->embedding().path(), "decoder.embedding");
}

TEST(Embedding, PaddingTakesNoGradientAndTiedOnesAreOne) {
  Embedding a(5, 3, 2), b(5, 3, 2);
  Materialise(a, 1);
  Materialise(b, 2);
  const Tensor ids = torch::tensor({{0, 2}, {2, 4}}, torch::kLong);
  const Tensor g = torch::autograd::grad({a.Forward(ids).sum()}, {a.weight()})[0].sum(1);
  const float scale = std::pow(3.0f, 0.25f);
  EXPECT_TRUE(torch::allclose(g, torch::tensor({3 * scale, 0.f, 0.f, 0.f, 3 * scale}), 1e-6, 0));
  EXPECT_TRUE(torch::allclose(a.Forward(ids)[1][1], a.weight()[4] * scale, 1e-6, 0));
  b.Tie(a);
  EXPECT_TRUE(b.named_parameters().is_empty());
  EXPECT_TRUE(torch::equal(a.Forward(ids), b.Forward(ids)));
  a.to(torch::kDouble);
  EXPECT_TRUE(torch::equal(a.Forward(ids), b.Forward(ids)));
  EXPECT_EQ(b.Forward(ids).scalar_type(), torch::kDouble);
}

TEST(Dropout, DropsAndScalesInTrainingAlone) {
  Embedding owner(5, 3, 0);
  Materialise(owner, 1);
  const Tensor x = torch::ones({2, 100, 40});
  const Tensor y = Dropout(x, 0.25, owner, "values", Pass(true, 1, 1, {1, 2}));
  // 8,000 draws: the share is known to 0.5 %; six times that.
  EXPECT_NEAR((y == 0).to(torch::kDouble).mean().item<double>(), 0.25, 0.03);
  EXPECT_TRUE(torch::equal(y, torch::where(y == 0, torch::zeros({}), torch::full({}, 4.0f / 3))));
  EXPECT_FALSE(torch::equal(y[0], y[1]));
  EXPECT_FALSE(torch::equal(y, Dropout(x, 0.25, owner, "others", Pass(true, 1, 1, {1, 2}))));
  for (int64_t t = 0; t < 100; t++)
    EXPECT_TRUE(torch::equal(y.select(1, t), Dropout(x.select(1, t), 0.25, owner, "values", Pass(true, 1, 1, {1, 2}), t)));
  EXPECT_TRUE(torch::equal(x, Dropout(x, 0.25, owner, "values", Pass(false, 1, 1, {1, 2}))));
  EXPECT_TRUE(torch::equal(x, Dropout(x, 0, owner, "values", Pass(true, 1, 1, {1, 2}))));
}

TEST(Attention, RecordedMapsAreDistributions) {
  const std::vector<int64_t> sources = {5, 2, 1, 4};
  const Tensor source = Ids(sources, 1), inputs = Ids({3, 6, 1, 4}, 2);
  for (Fusion fusion : All<Fusion>())
    for (search::Maps maps : {search::Maps::none, search::Maps::summed, search::Maps::all}) {
      SCOPED_TRACE(std::string(Name(fusion)) + " " + std::to_string(static_cast<int>(maps)));
      auto options = TinyDecoder(Cell::gru, fusion, spec::Score::additive, 1, false, 0.5);
      options.attention.heads = 2;
      const Translator model(TinyEncoder(Cell::gru), options);
      Context context = Pass(true, 1, 1, {1, 2, 3, 4});
      context.maps = maps;
      model.Forward(source, torch::tensor(sources), inputs, context);
      if (fusion == Fusion::none || maps == search::Maps::none) {
        EXPECT_TRUE(context.recorded.empty());
        continue;
      }
      ASSERT_EQ(context.recorded.size(), 1u);
      EXPECT_EQ(context.recorded[0].path, "decoder.attention");
      const Tensor& w = context.recorded[0].weights;
      EXPECT_EQ(w.sizes(), at::IntArrayRef({4, maps == search::Maps::all ? 2 : 1, 6, 5}));
      EXPECT_LE(Distance(w.sum(-1), torch::ones({4, w.size(1), 6}, torch::kDouble)), 1e-12);  // before dropout
      EXPECT_GE(w.min().item<double>(), 0);
      for (int64_t i = 0; i < 4; i++) EXPECT_EQ(w[i].slice(2, sources[static_cast<size_t>(i)]).abs().sum().item<double>(), 0);
    }
}

TEST(Attention, SizesThatDoNotFitAreRefusedInOneLine) {
  const auto message = [](const RecurrentDecoderOptions& options) {
    try {
      const RecurrentDecoder decoder(options, kState, kVocabulary, kPadding);
    } catch (const UserError& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  auto dot = TinyDecoder(Cell::gru, Fusion::output, spec::Score::dot);
  EXPECT_EQ(message(dot), "accepted");
  dot.size = 5;
  EXPECT_EQ(message(dot),
            "[attention] expected queries and keys of one size for score dot, or a score that projects, such as general or additive; found "
            "queries of 5 and keys of 8");
  auto heads = TinyDecoder(Cell::gru, Fusion::output);
  heads.attention.heads = 3;
  EXPECT_EQ(message(heads), "[attention] expected a memory size that the number of heads divides; found 8 with 3 heads");
  heads.attention.heads = 4;
  EXPECT_EQ(message(heads), "[attention] expected an attention_size that the number of heads divides; found 6 with 4 heads");
}

TEST(Attention, HeadsMayShareKeysAndValues) {
  auto options = TinyDecoder(Cell::gru, Fusion::input);
  options.attention.heads = 2;
  options.attention.key_value_heads = 1;
  const Translator model(TinyEncoder(Cell::gru), options);
  Context context;
  const Tensor source = Ids({3, 2}, 1), inputs = Ids({4, 4}, 2);
  const Memory memory = model.encoder->Forward(source, torch::tensor({3, 2}, torch::kLong), context);
  const Tensor all = model.decoder->Forward(memory, inputs, context);
  const auto rows = model.decoder->Start(memory, context);
  const int32_t same[] = {0, 1};
  for (int64_t t = 0; t < 4; t++) {
    rows->Select(same);
    EXPECT_LE(Distance(rows->Step(inputs.select(1, t), context), all.select(1, t)), 1e-12);
  }
}

}  // namespace
}  // namespace attend::nn
