#pragma once

#include <string_view>
#include <vector>

#include "attend/text/flat_map.h"
#include "attend/text/subword.h"

namespace attend::text {

// Byte-pair encoding (Sennrich et al. 2016) as sentencepiece does it: of all neighbours whose concatenation is a piece, those of the
// highest score merge first, of equal ones the leftmost.
class BpeTokenizer : public SubwordTokenizer {
 public:
  BpeTokenizer(Normaliser normaliser, Vocabulary vocabulary);
  TokenizerKind kind() const override { return TokenizerKind::bpe; }

 protected:
  void Cut(std::string_view text, const Sampling* sampling, std::vector<Segment>& out) const override;

 private:
  class Merger;

  FlatMap characters_;  // code point -> id
  FlatMap merges_;      // two ids, packed -> id of their concatenation
};

}  // namespace attend::text
