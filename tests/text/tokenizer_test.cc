#include "attend/text/tokenizer.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "corpus.h"

namespace attend::text {
namespace {

class AnyTokenizer : public testing::TestWithParam<TokenizerKind> {
 protected:
  static TextOptions Options() {
    TextOptions options;
    options.tokenizer = GetParam();
    options.vocabulary = 3000;
    options.minimum_count = 1;
    return options;
  }
  // Everything that the tests write can be known: nothing is unknown then.
  static std::vector<std::string> Everything() {
    std::vector<std::string> lines = Hostile();
    for (const std::string& line : Invented(500)) lines.push_back(line);
    return lines;
  }
};

// U+10FFF0 ... U+10FFF3 are the only characters that a subword vocabulary cannot learn, and words have at most 1024 bytes.
bool Learnable(const std::string& line, TokenizerKind kind) {
  return line.find("\U0010FFF0") == std::string::npos && (kind != TokenizerKind::word || line.size() < 5000);
}

TEST_P(AnyTokenizer, DecodesToTheNormalisedLine) {
  for (UnicodeForm form : {UnicodeForm::none, UnicodeForm::nfkc})
    for (bool collapse : {false, true}) {
      TextOptions options = Options();
      options.unicode_form = form;
      options.lowercase = form == UnicodeForm::nfkc;
      options.collapse_spaces = collapse;
      const auto tokenizer = Train(options, Everything()).tokenizer;
      for (const std::string& line : Everything()) {
        const Encoding e = tokenizer->Encode(line);
        if (!Learnable(line, GetParam())) continue;
        ASSERT_EQ(e.Unknowns(), 0) << testing::PrintToString(line);
        ASSERT_EQ(tokenizer->Decode(e.ids), tokenizer->normaliser().Apply(line).text) << testing::PrintToString(line);
      }
    }
}

TEST_P(AnyTokenizer, UnknownTextPutBackGivesTheLine) {
  if (GetParam() == TokenizerKind::word) return;  // an unknown punctuation mark no longer says that it joins
  TextOptions options = Options();
  options.collapse_spaces = false;
  options.unicode_form = UnicodeForm::none;
  options.vocabulary = 400;
  const auto tokenizer = Train(options, Invented(500)).tokenizer;
  std::vector<std::string> lines = Hostile(), noise = Noise(3000 / kStride);
  lines.insert(lines.end(), noise.begin(), noise.end());
  int64_t unknowns = 0;
  for (const std::string& line : lines) {
    const std::string text = tokenizer->normaliser().Apply(line).text;
    const Encoding e = tokenizer->Encode(text);
    std::vector<std::string> missing;
    for (size_t i = 0; i < e.ids.size(); i++)
      if (e.ids[i] == kUnknown) missing.push_back(text.substr(e.origins[i].begin, e.origins[i].end - e.origins[i].begin));
    unknowns += e.Unknowns();
    ASSERT_EQ(tokenizer->DecodeWithWords(e.ids, missing).text, text) << testing::PrintToString(line);
  }
  EXPECT_GT(unknowns, 1000 / kStride);
}

TEST_P(AnyTokenizer, OriginsAndWordsHoldForAnyBytes) {
  for (UnicodeForm form : {UnicodeForm::none, UnicodeForm::nfkc})
    for (bool collapse : {false, true}) {
      TextOptions options = Options();
      options.unicode_form = form;
      options.lowercase = true;
      options.collapse_spaces = collapse;
      options.vocabulary = 600;
      const auto tokenizer = Train(options, Invented(500)).tokenizer;
      std::vector<std::string> lines = Hostile(), noise = Noise(3000 / kStride);
      lines.insert(lines.end(), noise.begin(), noise.end());
      for (const std::string& line : lines) {
        const Encoding e = tokenizer->EncodeSampled(line, line.size() % 2 ? 0.3 : 0, line.size());
        ASSERT_EQ(e.ids.size(), e.origins.size());
        ASSERT_EQ(e.words, Words(line));
        Origin last;
        for (const Origin& o : e.origins) {
          ASSERT_LE(last.begin, o.begin);
          ASSERT_LE(o.begin, o.end);
          ASSERT_LE(o.end, line.size());
          ASSERT_LT(o.word, static_cast<int32_t>(e.words.size()));
          if (!e.words.empty()) {
            int32_t word = 0;  // the first that ends behind the piece's begin, or the last
            for (const ByteRange& w : e.words) word += w.end <= o.begin;
            ASSERT_EQ(o.word, std::min(word, static_cast<int32_t>(e.words.size()) - 1)) << testing::PrintToString(line);
          }
          last = o;
        }
        tokenizer->DecodeWithWords(e.ids);
        ASSERT_EQ(tokenizer->Pieces(line, e).size(), e.ids.size());
      }
    }
}

TEST_P(AnyTokenizer, WordsOfTheOutput) {
  const auto tokenizer = Train(Options(), Invented(500)).tokenizer;
  for (const std::string& line : Invented(200, 3)) {
    std::vector<int32_t> ids = tokenizer->Encode(line).ids;
    ids.insert(ids.begin(), kBos);
    ids.push_back(kEos);
    ids.push_back(kPad);
    const Decoding d = tokenizer->DecodeWithWords(ids);
    const std::vector<ByteRange> words = Words(d.text);
    ASSERT_EQ(d.words.size(), ids.size());
    ASSERT_EQ(d.words.front(), -1);
    ASSERT_EQ(d.words.back(), -1);
    std::vector<std::string> rebuilt(words.size());
    for (size_t i = 1; i + 2 < ids.size(); i++) {
      const ByteRange r = d.ranges[i];
      const std::string piece = d.text.substr(r.begin, r.end - r.begin);
      if (piece != " ") rebuilt.at(static_cast<size_t>(d.words[i])) += piece;
    }
    for (size_t w = 0; w < words.size(); w++) ASSERT_EQ(rebuilt[w], d.text.substr(words[w].begin, words[w].end - words[w].begin));
  }
}

TEST_P(AnyTokenizer, RefusesForeignIds) {
  const auto tokenizer = Train(Options(), Invented(100)).tokenizer;
  for (int32_t id : {-1, tokenizer->size(), 1 << 30}) {
    EXPECT_THROW(tokenizer->Decode(std::vector<int32_t>{id}), std::out_of_range);
    EXPECT_THROW(tokenizer->Piece(id), std::out_of_range);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, AnyTokenizer,
                         testing::Values(TokenizerKind::bpe, TokenizerKind::unigram, TokenizerKind::word, TokenizerKind::character),
                         [](const auto& param) { return std::string(Name(param.param)); });

// A BPE vocabulary written by hand: merges in the order of the list.
std::shared_ptr<const Tokenizer> Bpe(std::vector<std::string> pieces, Normaliser normaliser = {}, bool bytes = false) {
  Vocabulary v;
  v.pieces.assign(kSpecialNames, kSpecialNames + kSpecials);
  v.bytes = bytes;
  for (int i = 0; bytes && i < kBytes; i++) v.pieces.push_back(ByteName(i));
  v.pieces.insert(v.pieces.end(), pieces.begin(), pieces.end());
  for (size_t i = 0; i < v.pieces.size(); i++) v.scores.push_back(-static_cast<float>(i));
  return MakeTokenizer(TokenizerKind::bpe, normaliser, v, "test");
}

TEST(Tokenizer, TracesPiecesThroughNfkcAndCase) {
  const auto tokenizer = Bpe({" f", "ff", "fi", " ", "f", "i", "a", "x"}, {UnicodeForm::nfkc, true, true});
  //                      0  12-4   5 6-8  9
  const std::string line = "X \uFB03 a\uFF38\u00C9";
  const Encoding e = tokenizer->Encode(line);
  EXPECT_EQ(tokenizer->Pieces(line, e), (std::vector<std::string>{"\u2581", "x", "\u2581f", "fi", "\u2581", "a", "x", "\u00C9"}));
  const std::vector<Origin> expected = {{0, 0, 0}, {0, 1, 0}, {2, 5, 1}, {2, 5, 1}, {5, 6, 2}, {6, 7, 2}, {7, 10, 2}, {10, 12, 2}};
  EXPECT_EQ(e.origins, expected);
}

TEST(Tokenizer, ReplacesUnknownPieces) {
  const auto tokenizer = Bpe({" ", "a", "b", " a"});
  const std::string line = "a 日本 b語.";
  const Encoding e = tokenizer->Encode(line);
  EXPECT_EQ(tokenizer->Decode(e.ids), "a <unk> b<unk>");
  EXPECT_EQ(e.Unknowns(), 2);
  const std::vector<std::string> words = {"Japan", "go!"};
  const Decoding d = tokenizer->DecodeWithWords(e.ids, words);
  EXPECT_EQ(d.text, "a Japan bgo!");
  EXPECT_EQ(d.words, (std::vector<int32_t>{0, 1, 1, 2, 2, 2}));
  EXPECT_EQ(d.ranges[2], (ByteRange{2, 7}));
}

TEST(Tokenizer, SpellsUnknownCharactersInBytes) {
  const auto tokenizer = Bpe({" ", "a"}, {}, true);
  const Encoding e = tokenizer->Encode("a é");
  EXPECT_EQ(e.Unknowns(), 0);
  EXPECT_EQ(tokenizer->Pieces("a é", e), (std::vector<std::string>{"\u2581", "a", "\u2581", "<0xC3>", "<0xA9>"}));
  EXPECT_EQ(e.origins[4], (Origin{2, 4, 1}));
  EXPECT_EQ(tokenizer->Decode(e.ids), "a é");
  const std::vector<int32_t> cut = {kSpecials + 0xE3, kSpecials + 0x81, kSpecials + kBytes + 1};  // what a model might say
  EXPECT_EQ(tokenizer->Decode(cut), "\uFFFD\uFFFDa");
}

TEST(Tokenizer, OutputHasNoSpacesThatTrainingTextCouldNotHave) {
  const auto tokenizer = Bpe({" ", "a", " a"});
  const int32_t space = kSpecials, a = kSpecials + 1, word = kSpecials + 2;
  EXPECT_EQ(tokenizer->Decode(std::vector<int32_t>{space, space, a, space, word, space, kEos}), "a a");
  const Decoding d = tokenizer->DecodeWithWords(std::vector<int32_t>{space, word, space, kEos});
  EXPECT_EQ(d.words, (std::vector<int32_t>{0, 0, 0, -1}));
}

TEST(Tokenizer, PiecesAreLegible) {
  const auto tokenizer = Bpe({" a", "\t", std::string(1, '\0'), "\u2028"});
  EXPECT_EQ(tokenizer->Piece(kEos), "</s>");
  EXPECT_EQ(tokenizer->Piece(kSpecials), "\u2581a");
  EXPECT_EQ(tokenizer->Piece(kSpecials + 1), "\\u0009");
  EXPECT_EQ(tokenizer->Piece(kSpecials + 2), "\\u0000");
  EXPECT_EQ(tokenizer->Piece(kSpecials + 3), "\\u2028");
}

}  // namespace
}  // namespace attend::text
