#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "attend/search/hypothesis.h"

namespace attend::search {

// Attention of output tokens over source positions.
struct SourceMap {
  int64_t tokens = 0, keys = 0;
  std::vector<float> weights;  // (tokens, keys)
};

// The mean over the aligning heads of all maps of `hypothesis` that look at the source and align; 0 tokens where it has none.
SourceMap MeanSourceMap(const Hypothesis& hypothesis);

// Target word `target` looks at source word `source`, with this weight.
struct Link {
  int32_t source = 0, target = 0;
  double weight = 0;
};

// Word alignment from attention over pieces. source_word[j] and target_word[i] are the word of piece j or i, -1 for a piece of no word
// (an end symbol); pieces of the map beyond them have no word either. The weight of a pair of words is the sum over the source word's
// pieces of the mean over the target word's pieces. Each target word links to its best source word (ties: the first), in order of
// target words; none where its whole weight is 0.
std::vector<Link> AlignWords(const SourceMap& map, std::span<const int32_t> source_word, std::span<const int32_t> target_word);

// For each of `ids`: the source word that an unknown id attends to most, or -1: not unknown, or nothing is attended to.
std::vector<int32_t> ReplaceUnknown(std::span<const int32_t> ids, int32_t unknown, const SourceMap& map,
                                    std::span<const int32_t> source_word);

}  // namespace attend::search
