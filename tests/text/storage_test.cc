#include "attend/text/storage.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "attend/base/error.h"
#include "attend/text/tokenizers.h"
#include "corpus.h"

namespace attend::text {
namespace {

namespace fs = std::filesystem;

class Storage : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / ("attend-text-" + std::to_string(::getpid()));
    fs::create_directories(directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string Path(const char* name = "tokenizer.json") const { return (directory_ / name).string(); }
  std::string Read() const {
    std::ostringstream out;
    out << std::ifstream(Path(), std::ios::binary).rdbuf();
    return out.str();
  }
  void Write(const std::string& bytes) const { std::ofstream(Path(), std::ios::binary) << bytes; }

  fs::path directory_;
};

TextOptions Options(TokenizerKind kind) {
  TextOptions options;
  options.tokenizer = kind;
  options.vocabulary = 500;
  return options;
}

TEST_F(Storage, GivesBackTheSameTokenizer) {
  for (TokenizerKind kind : {TokenizerKind::bpe, TokenizerKind::unigram, TokenizerKind::word, TokenizerKind::character})
    for (bool other : {false, true}) {
      TextOptions options = Options(kind);
      options.byte_fallback = other;
      options.lowercase = other;
      options.collapse_spaces = other;
      options.unicode_form = other ? UnicodeForm::nfkc : UnicodeForm::none;
      std::vector<std::string> text = Hostile();
      for (const std::string& line : Invented(500)) text.push_back(line);
      const auto before = Train(options, text).tokenizer;
      SaveTokenizer(*before, Path());
      const auto after = LoadTokenizer(Path());
      EXPECT_EQ(after->kind(), kind);
      EXPECT_EQ(after->vocabulary().pieces, before->vocabulary().pieces);
      EXPECT_EQ(after->vocabulary().scores, before->vocabulary().scores);
      EXPECT_EQ(after->vocabulary().joins, before->vocabulary().joins);
      for (const std::string& line : text) {
        ASSERT_EQ(after->Encode(line).ids, before->Encode(line).ids);
        ASSERT_EQ(after->EncodeSampled(line, 0.2, 9).origins, before->EncodeSampled(line, 0.2, 9).origins);
      }
      SaveTokenizer(*after, Path("again.json"));
      std::ifstream again(Path("again.json"), std::ios::binary);
      EXPECT_EQ(std::string(std::istreambuf_iterator<char>(again), {}), Read());
    }
}

TEST_F(Storage, PairsAreOneFileOrTwo) {
  const auto a = Train(Options(TokenizerKind::bpe), Invented(100)).tokenizer,
             b = Train(Options(TokenizerKind::word), Invented(100)).tokenizer;
  SaveTokenizers({a, a}, directory_.string());
  EXPECT_TRUE(LoadTokenizers(directory_.string()).shared());
  SaveTokenizers({a, b}, directory_.string());
  const Tokenizers two = LoadTokenizers(directory_.string());
  EXPECT_EQ(two.source->kind(), TokenizerKind::bpe);
  EXPECT_EQ(two.target->kind(), TokenizerKind::word);
}

TEST_F(Storage, RefusesFilesThatDoNotHoldTogether) {
  SaveTokenizer(*Train(Options(TokenizerKind::bpe), Invented(100)).tokenizer, Path());
  const std::string good = Read();
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string out = good;
    const size_t at = out.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return out.replace(at, from.size(), to);
  };
  const std::string bad[] = {
      "",
      "null",
      "[]",
      "{}",
      "nonsense",
      std::string(100, '\0'),
      std::string(200000, '['),
      good.substr(0, good.size() / 2),
      replaced("attend tokenizer", "some tokenizer"),
      replaced("\"version\": 1", "\"version\": 2"),
      replaced("\"version\": 1", "\"version\": \"1\""),
      replaced("\"bpe\"", "\"bep\""),
      replaced("\"bpe\"", "\"word\""),
      replaced("\"bpe\"", "\"character\""),
      replaced("\"nfc\"", "\"nfd\""),
      replaced("\"lowercase\": false", "\"lowercase\": 0"),
      replaced("\"byte_fallback\": false", "\"byte_fallback\": true"),
      replaced("\"<pad>\"", "\"<unk>\""),
      replaced("\"<pad>\",", ""),
      replaced("\"<pad>\"", "7"),
      replaced("\"pieces\": [", "\"pieces\": {\"a\": ["),
      replaced("\"pieces\"", "\"peaces\""),
      replaced("\"scores\"", "\"joins\""),
      replaced("-1.0", "1e999"),
      replaced("-1.0", "null"),
      replaced("\"a\"", "\"\""),
      replaced("\"a\"", "\"o\""),
      replaced("\"a\"", "\"" + std::string(2000, 'a') + "\""),
      replaced("\"a\"", "\"\xFF\""),
  };
  for (const std::string& bytes : bad) {
    Write(bytes);
    EXPECT_THROW(LoadTokenizer(Path()), UserError) << bytes.substr(0, 300);
  }
  EXPECT_THROW(LoadTokenizer(Path("absent.json")), UserError);
  EXPECT_THROW(LoadTokenizers(directory_.string() + "/absent"), UserError);
}

TEST_F(Storage, AnyDamagedByteIsRefusedOrHarmless) {
  SaveTokenizer(*Train(Options(TokenizerKind::unigram), {"a rose is a rose"}).tokenizer, Path());
  const std::string good = Read();
  for (size_t i = 0; i < good.size(); i++) {
    std::string bytes = good;
    bytes[i] = static_cast<char>(bytes[i] ^ (1 << i % 8));
    Write(bytes);
    try {
      const auto tokenizer = LoadTokenizer(Path());
      tokenizer->Decode(tokenizer->EncodeSampled("a rose is \xFF no more", 0.3, i).ids);
    } catch (const UserError&) {
    }
  }
}

}  // namespace
}  // namespace attend::text
