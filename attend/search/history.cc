#include "attend/search/history.h"

#include <algorithm>

#include "attend/base/error.h"

namespace attend::search {

void History::AddStep(StepResult& result) {
  for (const StepMap& map : result.maps) {
    const auto cells = static_cast<size_t>(std::max<int64_t>(map.heads, 0) * std::max<int64_t>(map.keys, 0));
    if (map.weights.size() != cells * static_cast<size_t>(result.rows))
      throw SystemError("[search] expected a map " + map.path + " of " + std::to_string(result.rows) + " x " + std::to_string(map.heads) +
                        " x " + std::to_string(map.keys) + " weights; found " + std::to_string(map.weights.size()));
  }
  const bool same = maps_.empty() || std::equal(maps_[0].begin(), maps_[0].end(), result.maps.begin(), result.maps.end(),
                                                [](const StepMap& a, const StepMap& b) { return a.path == b.path && a.heads == b.heads; });
  if (!same) throw SystemError("[search] expected the same attention maps at every step; found others");
  maps_.push_back(std::move(result.maps));
}

int32_t History::Add(int32_t parent, int32_t token, float log_prob, int32_t row) {
  nodes_.push_back({parent, token, static_cast<int32_t>(maps_.size()) - 1, row, log_prob});
  return static_cast<int32_t>(nodes_.size()) - 1;
}

std::vector<int32_t> History::Path(int32_t node) const {
  std::vector<int32_t> path;
  for (; node >= 0; node = nodes_[static_cast<size_t>(node)].parent) path.push_back(node);
  std::reverse(path.begin(), path.end());
  return path;
}

std::vector<int32_t> History::Tokens(int32_t node) const {
  std::vector<int32_t> tokens = Path(node);
  for (int32_t& t : tokens) t = Token(t);
  return tokens;
}

Hypothesis History::Read(int32_t node, bool complete, int64_t source_length, bool maps) const {
  const std::vector<int32_t> path = Path(node);
  Hypothesis out;
  out.complete = complete;
  for (int32_t i : path) {
    const Node& n = nodes_[static_cast<size_t>(i)];
    out.ids.push_back(n.token);
    out.log_probs.push_back(n.log_prob);
    out.log_prob += n.log_prob;
  }
  if (complete) out.ids.pop_back();
  if (maps && !maps_.empty())
    for (size_t m = 0; m < maps_[0].size(); m++) out.maps.push_back(ReadMap(path, m, source_length));
  return out;
}

HypothesisMap History::ReadMap(const std::vector<int32_t>& path, size_t map, int64_t source_length) const {
  HypothesisMap out;
  out.path = maps_[0][map].path;
  out.over = maps_[0][map].over;
  out.heads = maps_[0][map].heads;
  out.aligns = maps_[0][map].aligns;
  out.head = maps_[0][map].head;
  out.tokens = static_cast<int64_t>(path.size());
  for (int32_t i : path) out.keys = std::max(out.keys, maps_[static_cast<size_t>(nodes_[static_cast<size_t>(i)].step)][map].keys);
  if (out.over == MapOver::source && source_length > 0) out.keys = std::min(out.keys, source_length);
  out.weights.assign(static_cast<size_t>(out.tokens * out.heads * out.keys), 0);
  auto to = out.weights.begin();
  for (int32_t i : path) {
    const Node& n = nodes_[static_cast<size_t>(i)];
    const StepMap& step = maps_[static_cast<size_t>(n.step)][map];
    for (int64_t h = 0; h < out.heads; h++, to += out.keys)
      std::copy_n(step.weights.begin() + (n.row * step.heads + h) * step.keys, std::min(step.keys, out.keys), to);
  }
  return out;
}

std::vector<float> History::Coverage(int32_t node, int64_t source_length) const {
  std::vector<float> sum(static_cast<size_t>(source_length), 0);
  int64_t maps = 0;
  for (const StepMap& map : maps_.at(0)) maps += map.over == MapOver::source && map.aligns && map.heads > 0;
  if (maps == 0) throw UserError("search.coverage_penalty", "0 for a decoder that does not attend to a source", "a penalty above 0");
  for (int32_t i : Path(node)) {
    const Node& n = nodes_[static_cast<size_t>(i)];
    for (const StepMap& map : maps_[static_cast<size_t>(n.step)]) {
      if (map.over != MapOver::source || !map.aligns) continue;
      const float share = 1.0f / static_cast<float>((map.head < 0 ? map.heads : 1) * maps);
      for (int64_t h = 0; h < map.heads; h++) {
        if (map.head >= 0 && h != map.head) continue;
        const float* weights = map.weights.data() + (n.row * map.heads + h) * map.keys;
        for (int64_t j = 0; j < std::min(map.keys, source_length); j++) sum[static_cast<size_t>(j)] += share * weights[j];
      }
    }
  }
  return sum;
}

}  // namespace attend::search
