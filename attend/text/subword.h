#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "attend/text/tokenizer.h"

namespace attend::text {

// What BPE and unigram share: each word starts with a space, and characters outside the vocabulary are spelt in bytes or unknown.
class SubwordTokenizer : public Tokenizer {
 protected:
  using Tokenizer::Tokenizer;

  bool leading_space() const override { return true; }

  // Appends one piece. Neighbouring unknown characters make one unknown piece.
  void Emit(std::string_view text, Segment segment, std::vector<Segment>& out) const {
    if (segment.id != kUnknown) {
      out.push_back(segment);
    } else if (vocabulary().bytes) {
      for (uint32_t i = segment.begin; i < segment.end; i++)
        out.push_back({kSpecials + static_cast<unsigned char>(text[i]), segment.begin, segment.end});
    } else if (!out.empty() && out.back().id == kUnknown) {
      out.back().end = segment.end;
    } else {
      out.push_back(segment);
    }
  }

  // The first id that text can match.
  int32_t first_piece() const { return vocabulary().bytes ? kSpecials + kBytes : kSpecials; }
};

}  // namespace attend::text
