#pragma once

#include <string_view>
#include <vector>

#include "attend/text/flat_map.h"
#include "attend/text/subword.h"

namespace attend::text {

// The unigram language model of subwords (Kudo 2018): the segmentation whose pieces' log-probabilities sum highest.
class UnigramTokenizer : public SubwordTokenizer {
 public:
  UnigramTokenizer(Normaliser normaliser, Vocabulary vocabulary);
  TokenizerKind kind() const override { return TokenizerKind::unigram; }

 protected:
  void Cut(std::string_view text, const Sampling* sampling, std::vector<Segment>& out) const override;

 private:
  // Calls f(id, end) for each piece that `text` continues with at `begin`, shortest first; for kUnknown, one character, where none of
  // one character's length does.
  template <class F>
  void ForEachPiece(std::string_view text, uint32_t begin, F&& f) const;
  void CutBest(std::string_view text, std::vector<Segment>& out) const;
  void CutSampled(std::string_view text, const Sampling& sampling, std::vector<Segment>& out) const;
  float Score(int32_t id) const { return id == kUnknown ? unknown_score_ : vocabulary().scores[static_cast<size_t>(id)]; }

  FlatMap edges_;                    // trie over bytes: node << 8 | byte -> node
  std::vector<int32_t> node_piece_;  // by node: the piece that ends there, or -1
  float unknown_score_;
};

}  // namespace attend::text
