#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "attend/base/utf8.h"
#include "tests/config/example_options.h"
#include "tests/config/expect_error.h"

namespace attend::config {
namespace {

using namespace example;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Help, PrintsOneLevel) {
  const std::string top = Help<Options>();
  EXPECT_THAT(top, HasSubstr("--train <options>"));
  EXPECT_THAT(top, HasSubstr("how it learns [more: --help train]"));
  EXPECT_THAT(top, Not(HasSubstr("epochs")));
  const std::string train = Help<Options>("train");
  EXPECT_THAT(train, HasSubstr("options of train: how it learns\n"));
  EXPECT_THAT(train, HasSubstr("  --train.epochs <integer>                  passes over the training data [default 20; epochs; in"));
  EXPECT_THAT(train, HasSubstr("[default unset; minutes; >= 0]"));
  EXPECT_LT(train.find("--train.seed"), train.find("--train.tags")) << "advanced options come last";
}

TEST(Help, ReachesThroughListsVariantsAndRecursion) {
  const std::string decoder = Help<Options>("decoder");
  EXPECT_THAT(decoder, HasSubstr("[default transformer]"));
  EXPECT_THAT(decoder, HasSubstr("kind rnn: recurrent network\n"));
  EXPECT_THAT(decoder, HasSubstr("attention heads [default 4; in [1, 1024]]")) << "the default of this place";
  EXPECT_THAT(Help<Options>("encoder"), HasSubstr("attention heads [default 8; in [1, 1024]]"));
  const std::string layers = Help<Options>("layers");
  EXPECT_THAT(layers, HasSubstr("--layers.0.size <integer>"));
  const std::string deep = Help<Options>("layers.3.attention.mixture.experts.1.fallback");
  EXPECT_THAT(deep, HasSubstr("a bare value sets layers.3.attention.mixture.experts.1.fallback.score"));
  EXPECT_THAT(deep, HasSubstr("scaled_dot      q·k/√d\n"));
  EXPECT_THAT(deep, Not(HasSubstr("bahdanau")));
  EXPECT_THAT(Help<Options>("data.source"), HasSubstr("--data.source <text or a list>"));
  EXPECT_THAT(Help<Options>("layers.N.attention.support.left"), HasSubstr("[default 4; positions; >= 0]"));
  EXPECT_THAT(Help<Options>("encoder.kind"), HasSubstr("transformer"));
}

TEST(Help, RefusesUnknownPaths) {
  EXPECT_EQ(ErrorOf([] { Help<Options>("train.epoch"); }), "[options] expected an option of train; found epoch; did you mean epochs?");
  EXPECT_EQ(ErrorOf([] { Help<Options>("layers.x"); }), "[options] expected an index of layers; found x");
  EXPECT_EQ(ErrorOf([] { Help<Options>("train.epochs.x"); }), "[options] expected no option below train.epochs; found x");
}

TEST(Help, KeepsItsWidth) {
  for (const char* path : {"", "train", "decoder", "layers", "layers.0.attention"}) {
    std::istringstream lines(Help<Options>(path, 80));
    for (std::string line; std::getline(lines, line);) {
      size_t columns = 0;
      for (std::string_view rest = line; !rest.empty(); rest.remove_prefix(utf8::Next(rest).length)) ++columns;
      EXPECT_LE(columns, 80u) << line;
      EXPECT_FALSE(line.ends_with(' ')) << line;
    }
  }
}

TEST(Markdown, PrintsEveryTypeOnceWithLinks) {
  const std::string page = Markdown<Options>("Configuration");
  EXPECT_TRUE(page.starts_with("# Configuration\n"));
  EXPECT_THAT(page, HasSubstr("| `epochs` | integer | `20` | in [1, 1000000] | epochs | passes over the training data |\n"));
  EXPECT_THAT(page, HasSubstr("| `minutes` | number | unset | >= 0 | minutes | wall-clock limit |\n"));
  EXPECT_THAT(page, HasSubstr("### decoder, kind transformer"));
  EXPECT_THAT(page, HasSubstr("- `additive`: vᵀtanh(Wq + Uk)\n"));
  // The recursive spec stands at the first of its shortest paths, and every other place links to it.
  EXPECT_THAT(page, HasSubstr("## encoder.attention\n"));
  EXPECT_THAT(page, Not(HasSubstr("## layers.N.attention\n")));
  EXPECT_THAT(page, HasSubstr("| `attention` | [options](#encoder.attention) |"));
  EXPECT_THAT(page, HasSubstr("| `fallback` | [options](#encoder.attention) |"));
  EXPECT_THAT(page, HasSubstr("| `experts` | [list of options](#encoder.attention) |"));
  EXPECT_EQ(page.find_first_of("\x01\x02"), std::string::npos);
}

struct Inner {
  example::Attention attention;
  bool operator==(const Inner&) const = default;
  template <class F>
  static void Declare(F& field) {
    field("attention", &Inner::attention, "further down");
  }
};
struct Outer {
  Inner inner;
  example::Attention attention;
  bool operator==(const Outer&) const = default;
  template <class F>
  static void Declare(F& field) {
    field("inner", &Outer::inner, "stands first");
    field("attention", &Outer::attention, "is nearer");
  }
};

TEST(Markdown, DescribesATypeAtItsShortestPath) {
  const std::string page = Markdown<Outer>("Options");
  EXPECT_THAT(page, HasSubstr("## attention\n"));
  EXPECT_THAT(page, Not(HasSubstr("## inner.attention\n")));
}

TEST(Markdown, LinksLeadSomewhere) {
  const std::string page = Markdown<Options>("Configuration");
  std::set<std::string> places;
  for (size_t at = 0; (at = page.find("<a id=\"", at)) != std::string::npos; ++at) {
    const std::string place = page.substr(at + 7, page.find('"', at + 7) - at - 7);
    EXPECT_TRUE(places.insert(place).second) << place;
  }
  size_t links = 0;
  for (size_t at = 0; (at = page.find("](#", at)) != std::string::npos; ++at, ++links) {
    EXPECT_TRUE(places.contains(page.substr(at + 3, page.find(')', at) - at - 3)));
  }
  EXPECT_GT(links, 8u);
}

TEST(Paths, ListEveryOption) {
  const auto paths = Paths<Options>();
  for (const char* path : {"data.source", "encoder.kind", "encoder.cell", "encoder.heads", "decoder.attention.support.left",
                           "layers.0.size", "layers.0.attention.mixture.router", "train.betas", "train.seed"}) {
    EXPECT_EQ(std::count(paths.begin(), paths.end(), path), 1) << path;
  }
  EXPECT_EQ(std::set<std::string>(paths.begin(), paths.end()).size(), paths.size());
}

}  // namespace
}  // namespace attend::config
