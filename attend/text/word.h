#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "attend/text/tokenizer.h"

namespace attend::text {

// A token of normalised text: bytes [begin, end) and how it stands to its neighbours (kJoinsLeft, kJoinsRight).
struct Word {
  uint32_t begin, end;
  uint8_t joins;
};

// Cuts text at white space, and punctuation and symbols off words: letters, marks, numbers and _ make words, with a hyphen between
// two of them and . , : between two digits; all else is a token a grapheme cluster. Tokens stand apart unless one of them says that it
// joins; a word never says so, so that it is the same token beside any punctuation. White space beyond one space between tokens
// becomes tokens of their own. So the text can be put together again exactly.
// Scripts that do not separate words with spaces need another tokenizer.
std::vector<Word> SplitWords(std::string_view text);

class WordTokenizer : public Tokenizer {
 public:
  WordTokenizer(Normaliser normaliser, Vocabulary vocabulary);
  TokenizerKind kind() const override { return TokenizerKind::word; }

  // What a token is looked up by.
  static std::string Key(std::string_view token, uint8_t joins) { return std::string(token) + static_cast<char>(joins); }

 protected:
  bool leading_space() const override { return false; }
  void Cut(std::string_view text, const Sampling* sampling, std::vector<Segment>& out) const override;
  void Join(std::span<const int32_t> ids, UnknownTexts& unknowns, Decoding& out) const override;

 private:
  std::unordered_map<std::string, int32_t> ids_;
};

}  // namespace attend::text
