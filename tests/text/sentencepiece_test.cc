#include "attend/text/sentencepiece.h"

#include <gtest/gtest.h>
#include <sentencepiece_processor.h>

#include <map>
#include <sstream>

#include "corpus.h"

namespace attend::text {
namespace {

std::vector<Counted> WordCounts(const std::vector<std::string>& lines) {
  std::map<std::string, int64_t> counts;
  for (const std::string& line : lines) {
    std::istringstream words(line);
    for (std::string word; words >> word;) counts[word]++;
  }
  std::vector<Counted> out;
  for (const auto& [word, n] : counts) out.push_back({word, n});
  return out;
}

// A tokenizer and the sentencepiece processor of the same model.
struct Both {
  sentencepiece::SentencePieceProcessor theirs;
  std::shared_ptr<const Tokenizer> ours;
};

std::unique_ptr<Both> Make(TextOptions options, const std::vector<std::string>& lines, double coverage = 1) {
  std::vector<Counted> items;
  if (options.tokenizer == TokenizerKind::bpe)
    items = WordCounts(lines);
  else
    for (const std::string& line : lines) items.push_back({line, 1});
  const std::string model = TrainSentencePiece(options, options.vocabulary, coverage, items);
  auto both = std::make_unique<Both>();
  EXPECT_TRUE(both->theirs.LoadFromSerializedProto(model).ok());
  both->ours = MakeTokenizer(options.tokenizer, {UnicodeForm::none, false, true}, ReadSentencePiece(model), "test");
  return both;
}

// sentencepiece is given what our normalisation yields, so that white space means the same to both.
void ExpectEqual(const Both& both, const std::vector<std::string>& lines) {
  int64_t pieces = 0;
  for (const std::string& line : lines) {
    std::vector<int> theirs;
    ASSERT_TRUE(both.theirs.Encode(both.ours->normaliser().Apply(line).text, &theirs).ok());
    const std::vector<int32_t> ours = both.ours->Encode(line).ids;
    ASSERT_EQ(ours, std::vector<int32_t>(theirs.begin(), theirs.end())) << line;
    pieces += static_cast<int64_t>(ours.size());
  }
  EXPECT_GT(pieces, static_cast<int64_t>(lines.size()));
}

TextOptions Options(TokenizerKind kind, int64_t vocabulary, bool bytes = false) {
  TextOptions options;
  options.tokenizer = kind;
  options.vocabulary = vocabulary;
  options.byte_fallback = bytes;
  return options;
}

class SameAsSentencePiece : public testing::TestWithParam<std::tuple<TokenizerKind, bool>> {
 protected:
  TextOptions With(int64_t vocabulary) const { return Options(std::get<0>(GetParam()), vocabulary, std::get<1>(GetParam())); }
};

TEST_P(SameAsSentencePiece, OnInventedText) { ExpectEqual(*Make(With(700), Invented(2000)), Invented(2000, 2)); }

TEST_P(SameAsSentencePiece, OnUnknownCharacters) {
  const auto both = Make(With(700), Invented(2000));
  std::vector<std::string> lines;
  for (const std::string& line : Hostile())
    if (line.find('\0') == std::string::npos && line.find("\u2581") == std::string::npos)
      lines.push_back(line);  // which we tell from spaces
  ExpectEqual(*both, lines);
}

TEST_P(SameAsSentencePiece, WithRareCharactersLeftOut) {
  std::vector<std::string> lines = Invented(2000);
  for (size_t i = 0; i < lines.size(); i += 400) lines[i] += " qxзц𝔛";
  const auto both = Make(With(700), lines, 0.999);
  int64_t unknown = 0;
  for (const std::string& line : lines) unknown += both->ours->Encode(line).Unknowns();
  EXPECT_EQ(unknown > 0, !std::get<1>(GetParam()));
  ExpectEqual(*both, lines);
}

INSTANTIATE_TEST_SUITE_P(Kinds, SameAsSentencePiece,
                         testing::Combine(testing::Values(TokenizerKind::bpe, TokenizerKind::unigram), testing::Bool()),
                         [](const auto& param) {
                           return std::string(Name(std::get<0>(param.param))) + (std::get<1>(param.param) ? "Bytes" : "");
                         });

class SameOnMulti30k : public testing::TestWithParam<TokenizerKind> {};

TEST_P(SameOnMulti30k, EveryLine) {
  ATTEND_NEEDS_MULTI30K();
  ExpectEqual(*Make(Options(GetParam(), 8000), Multi30k()), Multi30k());
}

INSTANTIATE_TEST_SUITE_P(Kinds, SameOnMulti30k, testing::Values(TokenizerKind::bpe, TokenizerKind::unigram),
                         [](const auto& param) { return std::string(Name(param.param)); });

TEST(SentencePiece, WordCountsTrainTheSameBpeAsLines) {
  const TextOptions options = Options(TokenizerKind::bpe, 700);
  const std::vector<std::string> lines = Invented(2000);
  std::vector<Counted> whole;
  for (const std::string& line : lines) whole.push_back({line, 1});
  const Vocabulary a = ReadSentencePiece(TrainSentencePiece(options, 700, 1, WordCounts(lines)));
  const Vocabulary b = ReadSentencePiece(TrainSentencePiece(options, 700, 1, whole));
  EXPECT_EQ(a.pieces, b.pieces);
  EXPECT_EQ(a.scores, b.scores);
}

TEST(SentencePiece, SaysNothing) {
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  TrainSentencePiece(Options(TokenizerKind::unigram, 300), 300, 1, {{"a b c ab abc bc", 1}, {"aa bb cc", 1}});
  TrainSentencePiece(Options(TokenizerKind::bpe, 300), 300, 1, {{"ab", 3}, {"abc", 2}});
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
}

TEST(SentencePiece, LearnsTheCharactersItReserves) {
  using namespace std::string_literals;
  const std::vector<Counted> items = {{"a\tb\tc"s, 5}, {"\u2581x\u2581"s, 5}, {"\u2585"s, 5},
                                      {"n\0n"s, 5},    {"<unk><unk>"s, 50},   {"</s>"s, 50}};
  const Vocabulary v = ReadSentencePiece(TrainSentencePiece(Options(TokenizerKind::bpe, 60), 60, 1, items));
  const auto ours = MakeTokenizer(TokenizerKind::bpe, {UnicodeForm::none, false, false}, v, "test");
  for (const Counted& item : items) {
    const Encoding e = ours->Encode(item.text);
    EXPECT_EQ(e.Unknowns(), 0) << item.text;
    EXPECT_EQ(ours->Decode(e.ids), item.text);
    for (int32_t id : e.ids) EXPECT_GE(id, kSpecials);  // "</s>" in text is text
  }
}

}  // namespace
}  // namespace attend::text
