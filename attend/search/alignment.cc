#include "attend/search/alignment.h"

#include <algorithm>

namespace attend::search {
namespace {

int32_t Words(std::span<const int32_t> word_of) { return word_of.empty() ? 0 : *std::max_element(word_of.begin(), word_of.end()) + 1; }

// weight[w] += what token i of the map gives the pieces of source word w.
void AddToken(const SourceMap& map, int64_t i, std::span<const int32_t> source_word, std::vector<double>& weight) {
  const int64_t keys = std::min(map.keys, static_cast<int64_t>(source_word.size()));
  for (int64_t j = 0; j < keys; j++)
    if (const int32_t w = source_word[static_cast<size_t>(j)]; w >= 0)
      weight[static_cast<size_t>(w)] += map.weights[static_cast<size_t>(i * map.keys + j)];
}

// The first of the greatest, -1 when none is above 0.
int32_t Best(const std::vector<double>& weight) {
  const auto best = std::max_element(weight.begin(), weight.end());
  return best != weight.end() && *best > 0 ? static_cast<int32_t>(best - weight.begin()) : -1;
}

}  // namespace

SourceMap MeanSourceMap(const Hypothesis& hypothesis) {
  SourceMap out;
  int64_t parts = 0;
  for (const HypothesisMap& map : hypothesis.maps) {
    if (map.over != MapOver::source || !map.aligns) continue;
    parts += map.head < 0 ? map.heads : 1;
    out.tokens = map.tokens;
    out.keys = std::max(out.keys, map.keys);
  }
  out.weights.assign(static_cast<size_t>(out.tokens * out.keys), 0);
  for (const HypothesisMap& map : hypothesis.maps) {
    if (map.over != MapOver::source) continue;
    for (int64_t i = 0; i < map.tokens * map.heads; i++) {
      if (!map.aligns || (map.head >= 0 && i % map.heads != map.head)) continue;
      for (int64_t j = 0; j < map.keys; j++)
        out.weights[static_cast<size_t>(i / map.heads * out.keys + j)] +=
            map.weights[static_cast<size_t>(i * map.keys + j)] / static_cast<float>(parts);
    }
  }
  return out;
}

std::vector<Link> AlignWords(const SourceMap& map, std::span<const int32_t> source_word, std::span<const int32_t> target_word) {
  const auto words = static_cast<size_t>(Words(source_word));
  const int64_t tokens = std::min(map.tokens, static_cast<int64_t>(target_word.size()));
  std::vector<std::vector<int64_t>> pieces(static_cast<size_t>(Words(target_word)));
  for (int64_t i = 0; i < tokens; i++)
    if (const int32_t w = target_word[static_cast<size_t>(i)]; w >= 0) pieces[static_cast<size_t>(w)].push_back(i);
  std::vector<Link> out;
  for (size_t w = 0; w < pieces.size(); w++) {
    std::vector<double> weight(words, 0);
    for (int64_t i : pieces[w]) AddToken(map, i, source_word, weight);
    if (const int32_t best = Best(weight); best >= 0)
      out.push_back({best, static_cast<int32_t>(w), weight[static_cast<size_t>(best)] / static_cast<double>(pieces[w].size())});
  }
  return out;
}

std::vector<int32_t> ReplaceUnknown(std::span<const int32_t> ids, int32_t unknown, const SourceMap& map,
                                    std::span<const int32_t> source_word) {
  std::vector<int32_t> out(ids.size(), -1);
  for (size_t i = 0; i < ids.size() && static_cast<int64_t>(i) < map.tokens; i++) {
    if (ids[i] != unknown) continue;
    std::vector<double> weight(static_cast<size_t>(Words(source_word)), 0);
    AddToken(map, static_cast<int64_t>(i), source_word, weight);
    out[i] = Best(weight);
  }
  return out;
}

}  // namespace attend::search
