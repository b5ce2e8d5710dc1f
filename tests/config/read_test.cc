#include <gtest/gtest.h>

#include "tests/config/example_options.h"
#include "tests/config/expect_error.h"

namespace attend::config {
namespace {

using namespace example;

Options FromText(const std::string& yaml) { return Read<Options>(Source::FromYaml(yaml, "model.yaml")); }
std::string ErrorIn(const std::string& yaml) {
  return ErrorOf([&] { FromText(yaml); });
}

TEST(Read, NothingGivesTheDefaults) {
  EXPECT_EQ(Read<Options>(Source()), Options{});
  EXPECT_EQ(FromText(""), Options{});
  EXPECT_EQ(FromText("train:\ndata:\nencoder: ~\n"), Options{});
}

TEST(Read, Scalars) {
  const Train train = FromText(
                          "train: {epochs: +3, learning_rate: 1e-3, minutes: 2.5, shuffle: false, metric: 5, init: a b, betas: [0, .5],\n"
                          "        seed: -9223372036854775808}")
                          .train;
  EXPECT_EQ(train.epochs, 3);
  EXPECT_EQ(train.learning_rate, 0.001);
  EXPECT_EQ(train.minutes, 2.5);
  EXPECT_FALSE(train.shuffle);
  EXPECT_EQ(train.metric, "5");
  EXPECT_EQ(train.init, "a b");
  EXPECT_EQ(train.betas, (std::vector<double>{0, 0.5}));
  EXPECT_EQ(train.seed, std::numeric_limits<int64_t>::min());
}

TEST(Read, NullUnsetsAnOptional) {
  EXPECT_FALSE(Read<Train>(Source::FromYaml("minutes: 3", "f").Set("minutes", "~")).minutes);
  EXPECT_FALSE(FromText("train: {minutes: null}").train.minutes);
  EXPECT_EQ(ErrorIn("train: {epochs: }"), "[options] expected train.epochs to be an integer; found null (model.yaml:1)")
      << "bounds are named with numbers only";
}

TEST(Read, ChoicesAndAliases) {
  EXPECT_EQ(Read<Attention>(Source::FromYaml("score: dot", "f")).score, Score::dot);
  EXPECT_EQ(Read<Attention>(Source::FromYaml("score: bahdanau", "f")).score, Score::additive);
  EXPECT_EQ(ErrorOf([] { Read<Attention>(Source::FromYaml("\nscore: aditive", "f")); }),
            "[options] expected score to be one of dot, scaled_dot, additive, none; found aditive (f:2); did you mean additive?");
}

TEST(Read, ABareValueSetsTheShorthand) {
  const auto options = FromText("layers: [{attention: additive}]\ndata: a.txt\nencoder: transformer");
  EXPECT_EQ(options.layers.at(0).attention.score, Score::additive);
  EXPECT_EQ(options.data[0].source[0], "a.txt");
  EXPECT_EQ(std::get<Transformer>(options.encoder).heads, 8);
}

TEST(Read, AUnionIsAScalarOneOrAList) {
  EXPECT_EQ(FromText("data: a").data, (OneOrMany<Files>(Files{.source = std::string("a")})));
  EXPECT_EQ(FromText("data: {source: [a, b], weight: 2}").data, (OneOrMany<Files>(Files{.source = {"a", "b"}, .weight = 2})));
  EXPECT_EQ(FromText("data: [a, {source: b}]").data,
            (OneOrMany<Files>{Files{.source = std::string("a")}, Files{.source = std::string("b")}}));
}

TEST(Read, VariantsKeepTheDefaultOfTheirPlace) {
  EXPECT_EQ(std::get<Rnn>(FromText("encoder: {layers: 3}").encoder), (Rnn{.layers = 3, .cell = "gru"}));
  EXPECT_EQ(std::get<Transformer>(FromText("decoder: {heads: 2}").decoder).layers, 2);
  EXPECT_EQ(std::get<Transformer>(FromText("decoder: {heads: 2, kind: transformer}").decoder).layers, 2);
  EXPECT_EQ(std::get<Transformer>(FromText("encoder: {heads: 2, kind: transformer}").encoder).layers, 6);
}

TEST(Read, AMixtureOfSpecsInAListOfLayers) {
  const auto options = FromText(R"(
layers:
  - size: 128
  - attention:
      mixture:
        experts:
          - dot
          - {score: additive, support: window}
          - mixture: {experts: [additive, {support: {kind: window, left: 2}, fallback: {fallback: dot}}], router: top}
        router: soft
)");
  ASSERT_EQ(options.layers.size(), 2u);
  EXPECT_EQ(options.layers[0].size, 128);
  const Mixture& mixture = options.layers[1].attention.mixture.value();
  ASSERT_EQ(mixture.experts.size(), 3u);
  EXPECT_EQ(mixture.experts[0].score, Score::dot);
  EXPECT_EQ(mixture.experts[1].support, Support(Window{}));
  const Mixture& inner = mixture.experts[2].mixture.value();
  EXPECT_EQ(inner.router, Router::top);
  EXPECT_EQ(inner.experts.at(0).score, Score::additive);
  EXPECT_EQ(inner.experts.at(1).support, Support(Window{.left = 2, .right = {}}));
  EXPECT_EQ(inner.experts.at(1).fallback->fallback->score, Score::dot);
  EXPECT_FALSE(inner.experts.at(1).fallback->fallback->fallback);
}

TEST(Read, Ranges) {
  EXPECT_EQ(ErrorIn("train:\n  epochs: 0"), "[options] expected train.epochs in [1, 1000000]; found 0 (model.yaml:2)");
  EXPECT_EQ(ErrorIn("train: {learning_rate: 0}"), "[options] expected train.learning_rate in (0, 10]; found 0 (model.yaml:1)");
  EXPECT_EQ(ErrorIn("train: {minutes: -0.5}"), "[options] expected train.minutes >= 0; found -0.5 (model.yaml:1)");
  EXPECT_EQ(ErrorIn("train: {betas: [0.5, 1]}"), "[options] expected train.betas.1 in [0, 1); found 1 (model.yaml:1)");
  EXPECT_EQ(ErrorIn("data: {weight: 0}"), "[options] expected data.weight > 0; found 0 (model.yaml:1)");
  EXPECT_EQ(FromText("train: {epochs: 1000000, learning_rate: 10}").train.epochs, 1000000);
}

TEST(Read, IllTypedValues) {
  for (const char* bad :
       {"x", "1.5", "1e3", "0x10", "99999999999999999999", "9223372036854775808", "--1", "+-1", "1 2", "\"\"", "[1]", "{a: 1}"}) {
    EXPECT_NE(ErrorIn("train: {seed: " + std::string(bad) + "}").find("expected train.seed to be an integer; found"), std::string::npos)
        << bad;
  }
  for (const char* bad : {".nan", "nan", ".inf", "inf", "-.inf", "1e999", "1,5", "one"}) {
    EXPECT_NE(ErrorIn("train: {minutes: \"" + std::string(bad) + "\"}").find("expected train.minutes to be a number >= 0; found"),
              std::string::npos)
        << bad;
  }
  EXPECT_EQ(ErrorIn("encoder: window"), "[options] expected encoder.kind to be one of rnn, transformer; found window (model.yaml:1)");
  EXPECT_EQ(ErrorIn("train: {shuffle: maybe}"), "[options] expected train.shuffle to be true or false; found maybe (model.yaml:1)");
  EXPECT_EQ(ErrorIn("train: {betas: 0.9}"),
            "[options] expected train.betas to be a list of numbers such as [0.9]; found 0.9 (model.yaml:1)");
  EXPECT_EQ(ErrorIn("train: 3"), "[options] expected train to be a map of options; found 3 (model.yaml:1)");
  EXPECT_NE(ErrorIn("layers: [{attention: {support: {kind: window, left: 2147483648}}}]").find("to be an integer >= 0"), std::string::npos);
}

TEST(Read, UnknownOptions) {
  EXPECT_EQ(ErrorIn("train:\n  epochs: 3\n  lerning_rate: 1"),
            "[options] expected an option of train; found lerning_rate (model.yaml:3); did you mean learning_rate?");
  EXPECT_EQ(ErrorIn("trian: {}"), "[options] expected an option; found trian (model.yaml:1); did you mean train?");
  EXPECT_EQ(ErrorIn("learning-rate: 1"),
            "[options] expected an option; found learning-rate (model.yaml:1); did you mean train.learning_rate?");
  EXPECT_EQ(ErrorIn("zzz: 1"),
            "[options] expected an option; found zzz (model.yaml:1); the options are data, encoder, decoder, layers, train");
  EXPECT_EQ(ErrorIn("encoder: {\"a\\nb\": 1}"),
            "[options] expected an option of encoder (kind rnn); found a\\nb (model.yaml:1); the options are kind, layers, cell");
}

TEST(Read, OptionsForeignToTheVariant) {
  EXPECT_EQ(ErrorIn("encoder: {heads: 4}"),
            "[options] expected an option of encoder (kind rnn); found heads (model.yaml:1), an option of kind transformer");
  EXPECT_EQ(ErrorIn("layers: [{attention: {support: {left: 1}}}]"),
            "[options] expected an option of layers.0.attention.support (kind all); found left (model.yaml:1), an option of kind window");
}

struct Needs {
  std::string input;
  Files files;
  template <class F>
  static void Declare(F& field) {
    field("input", &Needs::input, "the text").Required();
    field("files", &Needs::files, "more");
  }
};
struct Outer {
  Needs data;
  std::vector<Needs> more;
  template <class F>
  static void Declare(F& field) {
    field("data", &Outer::data, "what is read");
    field("more", &Outer::more, "and more");
  }
};

TEST(Read, RequiredOptions) {
  EXPECT_EQ(ErrorOf([] { Read<Outer>(Source()); }), "[options] expected --data.input (the text); found nothing");
  EXPECT_EQ(ErrorOf([] { Read<Outer>(Source::FromYaml("data: {input: a}\nmore: [{}]", "f")); }),
            "[options] expected --more.0.input (the text); found nothing");
  EXPECT_EQ(ErrorOf([] { Read<Outer>(Source::FromYaml("data:\n  input:", "f")); }),
            "[options] expected --data.input (the text); found nothing (f:2)");
  EXPECT_EQ(Read<Outer>(Source().Set("data.input", "a")).data.input, "a");
}

struct TwoOfAName {
  int a = 0, b = 0;
  template <class F>
  static void Declare(F& field) {
    field("a", &TwoOfAName::a, "one");
    field("a", &TwoOfAName::b, "another");
  }
};
struct KindTwice {
  static constexpr std::string_view kKind = "x";
  int kind = 0;
  template <class F>
  static void Declare(F& field) {
    field("kind", &KindTwice::kind, "hides the variant's");
  }
};

TEST(Declare, RefusesWhatCouldNotBeRead) {
  EXPECT_THROW(TypeOf<TwoOfAName>(), std::logic_error);
  EXPECT_THROW(TypeOf<KindTwice>(), std::logic_error);
}

TEST(Box, CopiesAreDeep) {
  Box<Attention> a = Attention{};
  Box<Attention> b = a;
  b->score = Score::dot;
  EXPECT_EQ(a->score, Score::scaled_dot);
  EXPECT_FALSE(a == b);
  a = b;
  EXPECT_EQ(a, b);
  a = Box<Attention>();
  EXPECT_FALSE(a);
  EXPECT_FALSE(a == b);
}

}  // namespace
}  // namespace attend::config
