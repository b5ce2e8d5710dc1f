#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "attend/text/tokenizer.h"
#include "corpus.h"

namespace attend::text {
namespace {

class Sampling : public testing::TestWithParam<TokenizerKind> {
 protected:
  static const Tokenizer& Model() {
    static std::map<TokenizerKind, std::shared_ptr<const Tokenizer>> models;
    auto& model = models[GetParam()];
    if (!model) {
      TextOptions options;
      options.tokenizer = GetParam();
      options.vocabulary = 700;
      model = Train(options, Invented(3000)).tokenizer;
    }
    return *model;
  }
};

TEST_P(Sampling, EverySampleSpellsItsLine) {
  std::vector<std::string> lines = Invented(300, 2);
  for (double rate : {0.0, 1e-300, 0.01, 0.1, 0.5, 1.0})
    for (size_t i = 0; i < lines.size(); i++) {
      const Encoding e = Model().EncodeSampled(lines[i], rate, i);
      ASSERT_EQ(Model().Decode(e.ids), lines[i]);
    }
}

TEST_P(Sampling, IsAFunctionOfTheKey) {
  int different = 0;
  for (const std::string& line : Invented(100, 2)) {
    ASSERT_EQ(Model().EncodeSampled(line, 0.1, 5).ids, Model().EncodeSampled(line, 0.1, 5).ids);
    ASSERT_EQ(Model().EncodeSampled(line, 0, 5).ids, Model().Encode(line).ids);
    different += Model().EncodeSampled(line, 0.1, 5).ids != Model().EncodeSampled(line, 0.1, 6).ids;
  }
  EXPECT_GT(different, 50);
}

TEST_P(Sampling, MorePiecesAtAHigherRate) {
  double last = 0;
  for (double rate : {0.0, 0.1, 0.3, 0.6}) {
    double pieces = 0;
    int64_t line = 0;
    for (const std::string& text : Invented(500, 2))
      pieces += static_cast<double>(Model().EncodeSampled(text, rate, static_cast<uint64_t>(line++)).ids.size());
    EXPECT_GT(pieces, last * 1.02) << rate;
    last = pieces;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Sampling, testing::Values(TokenizerKind::bpe, TokenizerKind::unigram),
                         [](const auto& param) { return std::string(Name(param.param)); });

std::shared_ptr<const Tokenizer> Model(TokenizerKind kind, const std::vector<std::pair<std::string, float>>& pieces) {
  Vocabulary v;
  v.pieces.assign(kSpecialNames, kSpecialNames + kSpecials);
  v.scores.assign(kSpecials, 0);
  for (const auto& [piece, score] : pieces) {
    v.pieces.push_back(piece);
    v.scores.push_back(score);
  }
  return MakeTokenizer(kind, {}, v, "test");
}

// How often each segmentation of `line` is drawn.
std::map<std::string, double> Frequencies(const Tokenizer& tokenizer, const std::string& line, double rate, int draws) {
  std::map<std::string, double> out;
  for (int key = 0; key < draws; key++) {
    std::string cut;
    for (int32_t id : tokenizer.EncodeSampled(line, rate, static_cast<uint64_t>(key)).ids) cut += "|" + tokenizer.Piece(id);
    out[cut] += 1.0 / draws;
  }
  return out;
}

constexpr int kDraws = 40000;
constexpr double kFourSigma = 4 * 0.5 / 200;  // of a frequency over kDraws draws, at most

// Kudo 2018: a segmentation is drawn in proportion to its probability to the power alpha.
TEST(UnigramSampling, DrawsFromTheLattice) {
  const std::vector<std::pair<std::string, float>> pieces = {{" ", -1.0f},  {"a", -2.0f},  {"b", -2.5f},
                                                             {" a", -1.5f}, {"ab", -2.2f}, {" ab", -3.0f}};
  const auto tokenizer = Model(TokenizerKind::unigram, pieces);
  for (double rate : {0.02, 0.1}) {
    std::map<std::string, double> expected = {{"|\u2581|a|b", -5.5}, {"|\u2581a|b", -4.0}, {"|\u2581|ab", -3.2}, {"|\u2581ab", -3.0}};
    double total = 0;
    for (auto& [cut, p] : expected) total += p = std::exp(p * 0.02 / rate);
    const auto found = Frequencies(*tokenizer, "ab", rate, kDraws);
    EXPECT_EQ(found.size(), expected.size());
    for (const auto& [cut, p] : expected) EXPECT_NEAR(found.at(cut), p / total, kFourSigma) << cut << " " << rate;
  }
}

// Provilkov et al. 2020: at each step each possible merge is dropped with probability p; the best of the rest is made; none left ends it.
TEST(BpeSampling, DropsMergesAtEachStep) {
  const auto tokenizer = Model(TokenizerKind::bpe, {{"ab", -1}, {"bc", -2}, {"abc", -3}, {"a", -4}, {"b", -5}, {"c", -6}, {" ", -7}});
  const double p = 0.3, q = 1 - p;
  const std::map<std::string, double> expected = {
      {"|\u2581|abc", (q + p * q) * q},  // ab or bc made, then the rest
      {"|\u2581|ab|c", q * p},
      {"|\u2581|a|bc", p * q * p},
      {"|\u2581|a|b|c", p * p},
  };
  // The vocabulary holds abc = ab + c = a + bc.
  const auto found = Frequencies(*tokenizer, "abc", p, kDraws);
  EXPECT_EQ(found.size(), expected.size());
  for (const auto& [cut, probability] : expected) EXPECT_NEAR(found.at(cut), probability, kFourSigma) << cut;
}

TEST(BpeSampling, RateOneLeavesCharacters) {
  const auto tokenizer = Model(TokenizerKind::bpe, {{"ab", -1}, {"a", -4}, {"b", -5}, {" ", -7}, {" ab", -8}});
  const auto found = Frequencies(*tokenizer, "ab", 1, 16);
  EXPECT_EQ(found, (std::map<std::string, double>{{"|\u2581|a|b", 1}}));
}

}  // namespace
}  // namespace attend::text
