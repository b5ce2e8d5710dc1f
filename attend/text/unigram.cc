#include "attend/text/unigram.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "attend/base/utf8.h"
#include "attend/kernels/random.h"

namespace attend::text {
namespace {

constexpr float kUnknownPenalty = 10;  // sentencepiece: an unknown character scores so much below the rarest piece
constexpr double kAlpha = 0.02;        // makes a rate change about as much as the same rate of dropped BPE merges

}  // namespace

UnigramTokenizer::UnigramTokenizer(Normaliser normaliser, Vocabulary v)
    : SubwordTokenizer(normaliser, std::move(v)), edges_(static_cast<size_t>(size()) * 4), node_piece_(1, -1) {
  float lowest = std::numeric_limits<float>::max();
  for (int32_t id = first_piece(); id < size(); id++) {
    lowest = std::min(lowest, vocabulary().scores[static_cast<size_t>(id)]);
    int32_t node = 0;
    for (char c : Text(id)) {
      const auto fresh = static_cast<int32_t>(node_piece_.size());
      node = edges_.Insert(static_cast<uint64_t>(node) << 8 | static_cast<unsigned char>(c), fresh);
      if (node == fresh) node_piece_.push_back(-1);
    }
    node_piece_[static_cast<size_t>(node)] = id;
  }
  unknown_score_ = lowest - kUnknownPenalty;
}

template <class F>
void UnigramTokenizer::ForEachPiece(std::string_view text, uint32_t begin, F&& f) const {
  const uint32_t character = begin + utf8::Next(text.substr(begin)).length;
  bool single = false;
  int32_t node = 0;
  for (uint32_t i = begin; i < text.size();) {
    node = edges_[static_cast<uint64_t>(node) << 8 | static_cast<unsigned char>(text[i++])];
    if (node < 0) break;
    const int32_t id = node_piece_[static_cast<size_t>(node)];
    if (id < 0) continue;
    single |= i == character;
    f(id, i);
  }
  if (!single) f(kUnknown, character);
}

void UnigramTokenizer::Cut(std::string_view text, const Sampling* sampling, std::vector<Segment>& out) const {
  if (text.empty()) return;
  if (sampling)
    CutSampled(text, *sampling, out);
  else
    CutBest(text, out);
}

// Viterbi. Sums run over the whole line in single precision, and the first of equal paths wins, as in sentencepiece: the same pieces.
void UnigramTokenizer::CutBest(std::string_view text, std::vector<Segment>& out) const {
  struct Node {
    float score = 0;
    int32_t id = -1;
    uint32_t begin = 0;
  };
  std::vector<Node> best(text.size() + 1);  // by the byte where a piece ends
  for (uint32_t begin = 0; begin < text.size(); begin += utf8::Next(text.substr(begin)).length) {
    const float before = best[begin].score;
    ForEachPiece(text, begin, [&](int32_t id, uint32_t end) {
      const double score = static_cast<double>(Score(id)) + before;
      Node& node = best[end];
      if (node.id < 0 || score > node.score) node = {static_cast<float>(score), id, begin};
    });
  }
  std::vector<Segment> reversed;
  for (auto end = static_cast<uint32_t>(text.size()); end > 0; end = best[end].begin)
    reversed.push_back({best[end].id, best[end].begin, end});
  for (size_t i = reversed.size(); i-- > 0;) Emit(text, reversed[i], out);
}

// Forward filtering, backward sampling: P(segmentation) is proportional to exp(sum of scores)^alpha, alpha = kAlpha / rate.
void UnigramTokenizer::CutSampled(std::string_view text, const Sampling& sampling, std::vector<Segment>& out) const {
  struct Edge {
    double weight;  // log of the total weight of all paths that end with this edge
    int32_t id;
    uint32_t begin;
    int32_t next;  // edge with the same end; -1: none
  };
  const double alpha = std::min(kAlpha / sampling.rate, 1e6);  // 1e6: the best path, and still finite
  std::vector<Edge> edges;
  edges.reserve(4 * text.size());
  std::vector<int32_t> last(text.size() + 1, -1);  // by end: the head of its list of edges
  std::vector<double> total(text.size() + 1, 0);   // by byte: log of the total weight of all paths to it
  for (uint32_t begin = 0; begin < text.size(); begin += utf8::Next(text.substr(begin)).length) {
    if (begin > 0) {
      double most = -std::numeric_limits<double>::infinity(), sum = 0;
      for (int32_t e = last[begin]; e >= 0; e = edges[static_cast<size_t>(e)].next)
        most = std::max(most, edges[static_cast<size_t>(e)].weight);
      for (int32_t e = last[begin]; e >= 0; e = edges[static_cast<size_t>(e)].next)
        sum += std::exp(edges[static_cast<size_t>(e)].weight - most);
      total[begin] = most + std::log(sum);
    }
    ForEachPiece(text, begin, [&](int32_t id, uint32_t end) {
      edges.push_back({total[begin] + alpha * Score(id), id, begin, last[end]});
      last[end] = static_cast<int32_t>(edges.size() - 1);
    });
  }
  random::Stream draws(sampling.key);
  std::vector<Segment> reversed;
  for (auto end = static_cast<uint32_t>(text.size()); end > 0;) {
    double most = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int32_t e = last[end]; e >= 0; e = edges[static_cast<size_t>(e)].next) most = std::max(most, edges[static_cast<size_t>(e)].weight);
    for (int32_t e = last[end]; e >= 0; e = edges[static_cast<size_t>(e)].next)
      sum += std::exp(edges[static_cast<size_t>(e)].weight - most);
    double left = draws.UniformDouble() * sum;
    int32_t e = last[end];
    while (edges[static_cast<size_t>(e)].next >= 0 && (left -= std::exp(edges[static_cast<size_t>(e)].weight - most)) >= 0)
      e = edges[static_cast<size_t>(e)].next;
    const Edge& chosen = edges[static_cast<size_t>(e)];
    reversed.push_back({chosen.id, chosen.begin, end});
    end = chosen.begin;
  }
  for (size_t i = reversed.size(); i-- > 0;) Emit(text, reversed[i], out);
}

}  // namespace attend::text
