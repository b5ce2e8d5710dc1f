#include <gtest/gtest.h>

#include "tests/config/example_options.h"
#include "tests/config/expect_error.h"

namespace attend::config {
namespace {

using namespace example;

using Flags = std::vector<std::pair<std::string, std::string>>;

Source Laid(const std::string& yaml, const Flags& flags) {
  Source source = Source::FromYaml(yaml, "model.yaml");
  for (const auto& [path, text] : flags) source.Set(path, text);
  return source;
}
Options Given(const std::string& yaml, const Flags& flags) { return Read<Options>(Laid(yaml, flags)); }
std::string ErrorWith(const std::string& yaml, const Flags& flags) {
  return ErrorOf([&] { Given(yaml, flags); });
}

TEST(Flags, OverrideTheFileInOrder) {
  const auto options = Given("train: {epochs: 5, seed: 7}", {{"train.epochs", "6"}, {"train.epochs", "8"}, {"train.minutes", "1.5"}});
  EXPECT_EQ(options.train.epochs, 8);
  EXPECT_EQ(options.train.seed, 7);
  EXPECT_EQ(options.train.minutes, 1.5);
}

TEST(Flags, ErrorsNameTheFlag) {
  EXPECT_EQ(ErrorWith("", {{"train.learning_rate", "-1"}}),
            "[options] expected train.learning_rate in (0, 10]; found -1 (from --train.learning_rate)");
  EXPECT_EQ(ErrorWith("", {{"train.lerning_rate", "1"}}),
            "[options] expected an option of train; found lerning_rate (from --train.lerning_rate); did you mean learning_rate?");
  EXPECT_EQ(ErrorWith("", {{"train.epochs.x", "1"}}),
            "[options] expected train.epochs to be one integer, without options of its own; found x (from --train.epochs.x)");
  EXPECT_EQ(ErrorWith("", {{"encoder.heads", "1"}}),
            "[options] expected an option of encoder (kind rnn); found heads (from --encoder.heads), an option of kind transformer");
  EXPECT_EQ(ErrorWith("", {{"", "1"}}),
            "[options] expected an option; found nothing (from --nothing); the options are data, encoder, decoder, layers, train");
  EXPECT_EQ(ErrorWith("train: [1]", {{"train.epochs", "1"}}),
            "[options] expected train to be a map of options; found a list [1] (model.yaml:1)");
}

TEST(Flags, AnotherKindDropsWhatTheFileSaid) {
  const std::string file = "encoder: {kind: rnn, layers: 3, cell: lstm}";
  EXPECT_EQ(Given(file, {{"encoder.kind", "transformer"}}).encoder, Encoder(Transformer{}));
  EXPECT_EQ(Given(file, {{"encoder", "transformer"}}).encoder, Encoder(Transformer{}));
  EXPECT_EQ(Given(file, {{"encoder.kind", "rnn"}}).encoder, Encoder(Rnn{.layers = 3, .cell = "lstm"}));
  EXPECT_EQ(Given("encoder: {layers: 3}", {{"encoder.kind", "transformer"}}).encoder, Encoder(Transformer{}));
  EXPECT_EQ(Given("encoder: rnn", {{"encoder.layers", "2"}}).encoder, Encoder(Rnn{.layers = 2, .cell = "gru"}));
  EXPECT_EQ(ErrorWith(file, {{"encoder.kind", "rn"}}),
            "[options] expected encoder.kind to be one of rnn, transformer; found rn (from --encoder.kind); did you mean rnn?");
}

TEST(Flags, WhatFlagsSayOfTheNewKindMayComeFirst) {
  const Transformer expected{.layers = 3, .heads = 2, .attention = {.score = Score::dot}};
  const std::string file = "encoder: {kind: rnn, layers: 9, cell: lstm}";
  const Flags flags = {
      {"encoder.heads", "2"}, {"encoder.layers", "3"}, {"encoder.attention.score", "dot"}, {"encoder.kind", "transformer"}};
  EXPECT_EQ(Given(file, flags).encoder, Encoder(expected));
  EXPECT_EQ(Given("", flags).encoder, Encoder(expected));
  EXPECT_EQ(Given("", {flags[3], flags[2], flags[1], flags[0]}).encoder, Encoder(expected));
  EXPECT_EQ(ErrorWith("", {{"encoder.cell", "lstm"}, {"encoder.kind", "transformer"}}),
            "[options] expected an option of encoder (kind transformer); found cell (from --encoder.cell), an option of kind rnn");
}

TEST(Flags, ListsByIndex) {
  const std::string file = "layers: [{size: 1}, {size: 2}]";
  EXPECT_EQ(Given(file, {{"layers.1.size", "5"}}).layers[1].size, 5);
  EXPECT_EQ(Given(file, {{"layers.2.size", "5"}, {"layers.3", "{size: 6}"}}).layers[3].size, 6);
  EXPECT_EQ(Given(file, {{"layers", "[{size: 9}]"}}).layers.size(), 1u);
  EXPECT_EQ(Given(file, {{"layers", "[]"}}).layers.size(), 0u);
  EXPECT_EQ(ErrorWith(file, {{"layers.3.size", "5"}}), "[options] expected an index of layers from 0 to 2; found 3 (from --layers.3.size)");
  EXPECT_EQ(ErrorWith(file, {{"layers.-1", "5"}}), "[options] expected an index of layers from 0 to 2; found -1 (from --layers.-1)");
  EXPECT_EQ(ErrorWith(file, {{"layers.99999999999999999999", "5"}}),
            "[options] expected an index of layers from 0 to 2; found 99999999999999999999 (from --layers.99999999999999999999)");
  EXPECT_EQ(Given("", {{"train.betas", "[0.5]"}, {"train.betas.1", "0.25"}}).train.betas, (std::vector<double>{0.5, 0.25}));
}

TEST(Flags, AnElementOfADefaultList) {
  const auto options = Given("", {{"layers.1.attention", "additive"}, {"layers.2.size", "7"}});
  ASSERT_EQ(options.layers.size(), 3u);
  EXPECT_EQ(options.layers[0], Layer{});
  EXPECT_EQ(options.layers[1], (Layer{.size = 512, .attention = {.score = Score::additive}}));
  EXPECT_EQ(options.layers[2].size, 7);
}

TEST(Flags, ReachIntoAMixtureInAListOfLayers) {
  const std::string file = "layers: [{}, {attention: {mixture: {experts: [additive, {mixture: {experts: [dot]}}]}}}]";
  const auto options = Given(file, {{"layers.1.attention.mixture.experts.0.score", "dot"},
                                    {"layers.1.attention.mixture.experts.0.dropout", "0.25"},
                                    {"layers.1.attention.mixture.experts.1.mixture.experts.0.support.kind", "window"},
                                    {"layers.1.attention.mixture.experts.1.mixture.experts.0.support.left", "9"},
                                    {"layers.1.attention.mixture.experts.2", "{score: none}"},
                                    {"layers.1.attention.mixture.router", "top"},
                                    {"layers.0.attention.fallback.fallback", "bahdanau"}});
  const Mixture& mixture = options.layers[1].attention.mixture.value();
  ASSERT_EQ(mixture.experts.size(), 3u);
  EXPECT_EQ(mixture.experts[0], (Attention{.score = Score::dot, .dropout = 0.25}));
  EXPECT_EQ(mixture.experts[1].mixture->experts[0], (Attention{.score = Score::dot, .support = Window{.left = 9, .right = {}}}));
  EXPECT_EQ(mixture.experts[2].score, Score::none);
  EXPECT_EQ(mixture.router, Router::top);
  EXPECT_EQ(options.layers[0].attention.fallback->fallback->score, Score::additive);
  EXPECT_EQ(ErrorWith(file, {{"layers.1.attention.mixture.experts.1.mixture.experts.0.scor", "dot"}}),
            "[options] expected an option of layers.1.attention.mixture.experts.1.mixture.experts.0; found scor "
            "(from --layers.1.attention.mixture.experts.1.mixture.experts.0.scor); did you mean score?");
}

TEST(Flags, UnionsTakeOneOrAList) {
  EXPECT_EQ(Given("", {{"data.source", "a"}}).data, OneOrMany<Files>(Files{.source = std::string("a")}));
  EXPECT_EQ(Given("data: a", {{"data.weight", "2"}}).data, OneOrMany<Files>(Files{.source = std::string("a"), .weight = 2}));
  EXPECT_EQ(Given("data: a", {{"data.0.weight", "2"}}).data.single(), false);
  EXPECT_EQ(Given("data: a", {{"data.1", "b"}}).data.size(), 2u);
  EXPECT_EQ(Given("data: a", {{"data.source.1", "b"}}).data[0].source.values(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(Given("", {{"data", "[a, {source: [b, c]}]"}}).data[1].source.size(), 2u);
  EXPECT_EQ(Given("", {{"data.source", "[a, b]"}}).data[0].source.size(), 2u);
  EXPECT_EQ(ErrorWith("data: [a, b]", {{"data.source", "c"}}),
            "[options] expected an index of data from 0 to 2; found source (from --data.source)");
}

TEST(Flags, TextIsTakenAsItStands) {
  for (const char* text :
       {"a: b", "#1", "*.txt", "- x", "&a", "!x", "1e3", "no", "a #b", "%x", "@", "`", "[", "{a", "it's", "\"half", "", " ", "null", "~"}) {
    EXPECT_EQ(Given("", {{"train.metric", text}}).train.metric, text);
  }
  EXPECT_EQ(Given("", {{"train.metric", "\"a\\tb\""}}).train.metric, "a\tb");
  EXPECT_EQ(Given("", {{"train.metric", "'null'"}}).train.metric, "null");
  EXPECT_EQ(Given("", {{"train.init", "a: b"}}).train.init, "a: b");
  EXPECT_EQ(Given("train: {init: x}", {{"train.init", "~"}}).train.init, std::nullopt);
  EXPECT_EQ(Given("", {{"data", "x: #y"}}).data[0].source[0], "x: #y");
  EXPECT_NE(ErrorWith("", {{"train.metric", "a\xff"}}).find("expected UTF-8 text; found the byte \\xFF (from --train.metric)"),
            std::string::npos);
  EXPECT_NE(ErrorWith("", {{"train.metric", std::string("a\0b", 3)}}).find("without control characters; found \\x00"), std::string::npos);
}

TEST(Flags, DepthIsLimited) {
  std::string path = "layers.0.attention";
  for (int i = 0; i < 40; ++i) path += ".fallback";
  EXPECT_NE(ErrorWith("", {{path, "dot"}}).find("expected a path of at most 32 names"), std::string::npos);
  EXPECT_NE(ErrorWith("", {{"layers", std::string(40, '[') + std::string(40, ']')}}).find("expected at most 32 levels"), std::string::npos);
  std::string deep = "layers.0.attention";
  for (int i = 0; i < 28; ++i) deep += ".fallback";
  EXPECT_NE(ErrorWith("", {{deep, "{fallback: dot}"}}).find("expected at most 32 levels"), std::string::npos);
}

TEST(Flags, Words) {
  const std::vector<std::string> words = {"--train.epochs", "3",  "--train.shuffle=false", "--train.minutes", "-0.0",
                                          "--data.source",  "a=b"};
  const auto options = Read<Options>(Source().SetAll(words));
  EXPECT_EQ(options.train.epochs, 3);
  EXPECT_FALSE(options.train.shuffle);
  EXPECT_EQ(options.train.minutes, 0);
  EXPECT_EQ(options.data[0].source[0], "a=b");
  const std::vector<std::string> bare = {"--train.shuffle", "--train.epochs", "2"};
  EXPECT_TRUE(Read<Options>(Source::FromYaml("train: {shuffle: false}", "f").SetAll(bare)).train.shuffle);
  EXPECT_EQ(ErrorOf([] {
              Source().SetAll(std::vector<std::string>{"--a", "1", "stray"});
            }),
            "[options] expected --option value; found stray");
}

TEST(Source, Peeks) {
  const auto source = Source::FromYaml("task: translate\nmodel: {encoder: {kind: rnn}}", "f");
  EXPECT_EQ(source.Peek("task"), "translate");
  EXPECT_EQ(source.Peek("model.encoder.kind"), "rnn");
  EXPECT_EQ(source.Peek("model.encoder"), std::nullopt);
  EXPECT_EQ(source.Peek("task.x"), std::nullopt);
  EXPECT_EQ(Source(source).Set("task", "label").Set("task", "tag").Peek("task"), "tag");
}

}  // namespace
}  // namespace attend::config
