#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "attend/config/yaml.h"
#include "tests/config/example_options.h"
#include "tests/config/expect_error.h"

namespace attend::config {
namespace {

using namespace example;

std::string ErrorIn(const std::string& yaml) {
  return ErrorOf([&] { Read<Options>(Source::FromYaml(yaml, "model.yaml")); });
}

std::string Repeat(const std::string& text, int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += text;
  return out;
}

TEST(Yaml, RefusesWhatOptionsDoNotHave) {
  EXPECT_EQ(ErrorIn("train: &a {epochs: 1}"), "[options] expected YAML without anchors; found an anchor (&) (model.yaml:1)");
  EXPECT_NE(ErrorIn("train:\n  epochs: *a").find("(model.yaml:2)"), std::string::npos);
  EXPECT_NE(ErrorIn("a: &a 1\nb: *a").find("YAML without anchors"), std::string::npos);
  EXPECT_NE(ErrorIn("train: !!map {epochs: 1}").find("expected YAML without tags"), std::string::npos);
  EXPECT_EQ(ErrorIn("train:\n  epochs: 1\n  seed: 2\n  epochs: 3"),
            "[options] expected every option once; found a second epochs (model.yaml:4)");
  EXPECT_EQ(ErrorIn("train: {seed: 1}\n\"train\": {}"), "[options] expected every option once; found a second train (model.yaml:2)");
  EXPECT_NE(ErrorIn("a: 1\n---\nb: 2").find("expected one YAML document; found a second one (model.yaml:"), std::string::npos);
  EXPECT_NE(ErrorIn("? [a]\n: 1").find("expected a name before the colon"), std::string::npos);
  EXPECT_NE(ErrorIn("? {a: 1}\n: 1").find("expected a name before the colon"), std::string::npos);
  EXPECT_NE(ErrorIn("~: 1").find("expected a name before the colon"), std::string::npos);
  EXPECT_EQ(ErrorIn("- a\n- b"), "[options] expected a map of options in model.yaml; found a list [a, b] (model.yaml:1)");
  EXPECT_EQ(ErrorIn("nonsense"), "[options] expected a map of options in model.yaml; found nonsense (model.yaml:1)");
}

TEST(Yaml, RefusesIllFormedText) {
  for (const char* bad : {"{a: 1", "a: [1, 2", "a: 1\n b: 2", "{a: 1} x", "a: 1\n]", "a: \"x", "a: b: c", "\tx: 1", "a: %",
                          "%YAML 9\n---\na: 1", "a: |x\n b"}) {
    EXPECT_EQ(ErrorIn(bad).substr(0, 9), "[options]") << bad;
  }
}

TEST(Yaml, RefusesBytesThatAreNotText) {
  EXPECT_EQ(ErrorIn("train:\n  metric: a\xff"), "[options] expected UTF-8 text; found the byte \\xFF (model.yaml:2)");
  EXPECT_EQ(ErrorIn(std::string("a: 1\n\0", 6)), "[options] expected text without control characters; found \\x00 (model.yaml:2)");
  EXPECT_NE(ErrorIn("train: {}\n\x04\nhidden: 1").find("found \\x04 (model.yaml:2)"), std::string::npos);
  EXPECT_NE(ErrorIn(std::string("\xff\xfe\x61\x00:\x00", 6)).find("expected UTF-8"), std::string::npos);
  EXPECT_NE(ErrorIn("a: \xed\xa0\x80").find("expected UTF-8"), std::string::npos);
  EXPECT_EQ(Read<Options>(Source::FromYaml("\xEF\xBB\xBFtrain: {seed: 3}\r\n", "f")).train.seed, 3);
}

TEST(Yaml, LimitsDepthAndSize) {
  std::string nested = "dot";
  for (int i = 0; i < 40; ++i) nested = "{fallback: " + nested + "}";
  EXPECT_NE(
      ErrorIn("layers: [{attention: " + nested + "}]").find("expected at most 32 levels of lists and maps; found more (model.yaml:1)"),
      std::string::npos);
  EXPECT_NE(ErrorIn(std::string(500'000, '[')).find("[options]"), std::string::npos);
  EXPECT_NE(ErrorIn(Repeat("{a: ", 100'000)).find("[options]"), std::string::npos);
  EXPECT_NE(ErrorIn(Repeat("- ", 200'000)).find("[options]"), std::string::npos);
  EXPECT_NE(ErrorIn(Repeat("? ", 200'000)).find("[options]"), std::string::npos);
  EXPECT_NE(ErrorIn(std::string((1 << 20) + 1, ' ')).find("expected at most 1 MiB of YAML"), std::string::npos);
  EXPECT_NE(ErrorIn("train: {tags: [" + Repeat("a,", 200'000) + "]}").find("expected at most 100000 values"), std::string::npos);
}

// Shorthands and defaults add levels: what was read must be readable again.
TEST(Yaml, LimitsTheDepthOfWhatIsResolved) {
  std::string path = "layers.0.attention";
  for (int i = 0; i < 27; ++i) path += ".fallback";
  const Options deepest = Read<Options>(Source().Set(path, "dot"));
  EXPECT_EQ(Read<Options>(Source::FromYaml(ToYaml(deepest), "f")), deepest);
  EXPECT_NE(ErrorOf([&] { Read<Options>(Source().Set(path + ".fallback", "dot")); }).find("more in the resolved configuration"),
            std::string::npos);
}

TEST(Yaml, LargeTextTakesLittleTime) {
  const auto begin = std::chrono::steady_clock::now();
  const std::string half = Repeat("aaaaaaa ", 120'000);
  std::string keys = "train: {";
  for (int i = 0; i < 40'000; ++i) keys += "k" + std::to_string(i) + ": 1, ";
  EXPECT_NE(ErrorIn(keys + "}").find("expected an option of train; found k0"), std::string::npos);
  EXPECT_EQ(Read<Options>(Source::FromYaml("train: {metric: \"" + half + "\"}", "f")).train.metric.size(), half.size());
  EXPECT_EQ(Read<Options>(Source::FromYaml("train: {metric: " + half + "}", "f")).train.metric.size(), half.size() - 1);
  EXPECT_EQ(Read<Options>(Source::FromYaml("train:\n  tags:\n" + Repeat("  - x\n", 90'000), "f")).train.tags.size(), 90'000u);
  Source appended;
  for (int i = 0; i < 2'000; ++i) appended.Set("train.tags." + std::to_string(i), "x");
  EXPECT_EQ(Read<Options>(appended).train.tags.size(), 2'000u);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST(Yaml, Files) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("attend_config_" + std::to_string(::testing::UnitTest::GetInstance()->random_seed()));
  std::filesystem::create_directories(folder);
  const std::string path = (folder / "a.yaml").string();
  std::ofstream(path) << "train: {seed: 5}\n";
  EXPECT_EQ(Read<Options>(Source::FromFile(path)).train.seed, 5);
  EXPECT_NE(ErrorOf([&] { Source::FromFile(path + "x"); }).find("[options] expected"), std::string::npos);
  EXPECT_NE(ErrorOf([&] { Source::FromFile(folder.string()); }).find("[options] expected"), std::string::npos);
  std::filesystem::remove_all(folder);
}

Options Full() {
  Options options;
  options.data = {Files{.source = {"a", "b"}, .weight = 0.1}, Files{.source = std::string("c: #d"), .weight = 1e300}};
  options.encoder = Transformer{.layers = 3, .heads = 2, .attention = {.score = Score::none}};
  options.layers = {
      Layer{.size = 3, .attention = {.mixture = Mixture{.experts = {Attention{.score = Score::dot}}, .router = Router::top}}}};
  options.layers[0].attention.mixture->experts[0].fallback = Attention{.support = Window{.left = 1, .right = 2}};
  options.train.seed = std::numeric_limits<int64_t>::max();
  return options;
}

TEST(ToYaml, RoundTrips) {
  for (const Options& options : {Options{}, Full()}) {
    const std::string yaml = ToYaml(options);
    const auto again = Read<Options>(Source::FromYaml(yaml, "config.yaml"));
    EXPECT_EQ(again, options) << yaml;
    EXPECT_EQ(ToYaml(again), yaml);
  }
}

TEST(ToYaml, IsCompleteAndInOrder) {
  EXPECT_EQ(ToYaml(Train{.learning_rate = 1e-5, .minutes = {}, .init = {}, .tags = {"yes", "a b"}}),
            "epochs: 20\nlearning_rate: 1.0e-05\nminutes: null\nshuffle: true\nmetric: bleu\ninit: null\nbetas: [0.9, 0.98]\n"
            "tags: [\"yes\", \"a b\"]\nseed: 1\n");
  EXPECT_EQ(
      ToYaml(Options{.data = Files{.source = std::string("a")}, .layers = {}}),
      "data:\n  source: a\n  weight: 1\nencoder:\n  kind: rnn\n  layers: 1\n  cell: gru\ndecoder:\n  kind: transformer\n  layers: 2\n  "
      "heads: 4\n"
      "  attention:\n    score: scaled_dot\n    dropout: 0\n    support:\n      kind: all\n    mixture: null\n    fallback: null\nlayers: "
      "[]\n"
      "train:\n  epochs: 20\n  learning_rate: 0.001\n  minutes: null\n  shuffle: true\n  metric: bleu\n  init: null\n  betas: [0.9, 0.98]\n"
      "  tags: []\n  seed: 1\n");
}

struct One {
  double x = 7;
  template <class F>
  static void Declare(F& field) {
    field("x", &One::x, "a number");
  }
};

TEST(ToYaml, DoublesKeepTheirBits) {
  for (double x : {0.0, -0.0, 0.1, 1.0 / 3, 1e-5, 5e-324, std::numeric_limits<double>::max(), -1e22, 123456789.125, 1e21, 2.0}) {
    const double y = Read<One>(Source::FromYaml(ToYaml(One{x}), "f")).x;
    EXPECT_EQ(x, y);
    EXPECT_EQ(std::signbit(x), std::signbit(y));
  }
}

TEST(ToYaml, TextKeepsItsBytes) {
  std::vector<std::string> texts = {"",
                                    " ",
                                    "~",
                                    "null",
                                    "Null",
                                    "true",
                                    "no",
                                    "off",
                                    "5",
                                    "1e3",
                                    ".5",
                                    ".inf",
                                    "-",
                                    "- a",
                                    "a: b",
                                    "a #b",
                                    "#",
                                    "[a",
                                    "]",
                                    "{",
                                    "x,y",
                                    "'",
                                    "\"",
                                    "\\",
                                    "a\nb",
                                    "a\n\n",
                                    "\t",
                                    "\r\n",
                                    "*a",
                                    "&a",
                                    "!a",
                                    "%a",
                                    "@",
                                    "`",
                                    "? ",
                                    "|",
                                    ">",
                                    "<<",
                                    "=",
                                    "...",
                                    "---",
                                    "ü",
                                    "日本語",
                                    "\xF0\x9F\x98\x80",
                                    "\xC2\x85",
                                    "\xC2\xA0",
                                    "\xE2\x80\xA8",
                                    "\xEF\xBB\xBF",
                                    "\xEF\xBF\xBF",
                                    std::string("\0\x01\x04\x1b\x7f", 5),
                                    "0x1F",
                                    "0o7",
                                    "1_000",
                                    "2024-01-01",
                                    "12:30",
                                    "a/b.c-d+e@f%g",
                                    std::string(5000, 'x'),
                                    std::string(5000, '#')};
  for (const std::string& text : texts) {
    EXPECT_EQ(Read<Train>(Source::FromYaml(ToYaml(Train{.minutes = {}, .metric = text, .init = text}), "f")).metric, text);
    EXPECT_EQ(Read<Train>(Source::FromYaml(ToYaml(Train{.minutes = {}, .metric = text, .init = text}), "f")).init, text);
  }
  const Train all{.minutes = {}, .init = {}, .tags = texts};
  EXPECT_EQ(Read<Train>(Source::FromYaml(ToYaml(all), "f")), all);
  EXPECT_EQ(ErrorOf([] { ToYaml(Train{.minutes = {}, .metric = "\xff", .init = {}}); }), "[options] expected UTF-8 text; found \\xFF");
}

TEST(Differences, NameThePathAndBothValues) {
  const auto text = [](const std::vector<Difference>& differences) {
    std::string out;
    for (const auto& [path, a, b] : differences) out += path + ": " + a + " | " + b + "\n";
    return out;
  };
  EXPECT_EQ(text(Differences(Full(), Full())), "");
  Options other = Full();
  other.encoder = Rnn{};
  other.layers[0].attention.mixture->experts.push_back({});
  other.layers[0].attention.fallback = Attention{};
  other.layers[0].attention.mixture->experts[0].score = Score::additive;
  other.train.minutes = 3;
  other.train.betas = {0.9};
  EXPECT_EQ(text(Differences(Full(), other)),
            "encoder.kind: transformer | rnn\n"
            "layers.0.attention.mixture.experts.0.score: dot | additive\n"
            "layers.0.attention.mixture.experts.1: (none) | {score: scaled_dot, dropout: 0, support: {kind: all}, mixture: null, fallback: "
            "null}\n"
            "layers.0.attention.fallback: null | {score: scaled_dot, dropout: 0, support: {kind: all}, mixture: null, fallback: null}\n"
            "train.minutes: null | 3\n"
            "train.betas.1: 0.98 | (none)\n");
}

}  // namespace
}  // namespace attend::config
