#pragma once

#include <string_view>
#include <vector>

#include "attend/text/flat_map.h"
#include "attend/text/tokenizer.h"

namespace attend::text {

// One piece a code point.
class CharacterTokenizer : public Tokenizer {
 public:
  CharacterTokenizer(Normaliser normaliser, Vocabulary vocabulary);
  TokenizerKind kind() const override { return TokenizerKind::character; }

 protected:
  bool leading_space() const override { return false; }
  void Cut(std::string_view text, const Sampling* sampling, std::vector<Segment>& out) const override;

 private:
  FlatMap characters_;  // code point -> id
};

}  // namespace attend::text
