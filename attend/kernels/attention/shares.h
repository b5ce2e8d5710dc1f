#pragma once

#include <cstdint>
#include <vector>

#include "attend/kernels/attention/visibility.h"

namespace attend::kernels::attention {

// How a call is cut into tasks.

// Queries [begin, end) of the heads that share a key head, of one sequence.
struct Share {
  const Sequence* sequence = nullptr;
  int64_t kv_head = 0, begin = 0, end = 0;
};

// Few enough that keys laid out once serve many queries, enough of them for some threads. The cut depends on sizes alone, as the order in
// which gradients are summed does.
inline std::vector<Share> Shares(const Problem& p) {
  constexpr int64_t kFewest = 512, kTasks = 16;
  int64_t heads = 0;
  for (const Sequence& s : p.sequences) heads += s.queries > 0 ? p.kv_heads : 0;
  std::vector<Share> out;
  for (const Sequence& s : p.sequences)
    for (int64_t h = 0; h < p.kv_heads; h++) {
      const int64_t most = std::max<int64_t>(1, s.queries / kFewest), wanted = (kTasks + heads - 1) / std::max<int64_t>(heads, 1);
      const int64_t n = std::min(most, wanted), tiles = (s.queries + kTileRows - 1) / kTileRows;
      for (int64_t i = 0; i < n; i++)
        out.push_back({&s, h, tiles * i / n * kTileRows, i + 1 < n ? tiles * (i + 1) / n * kTileRows : s.queries});
    }
  return out;
}

// The most queries, of all heads that share keys, for which laying keys out does not pay.
constexpr int64_t kFewRows = 8;

inline bool IsFew(const Problem& p, const Share& share) {
  return share.begin == 0 && share.end == share.sequence->queries && share.end * (p.heads / p.kv_heads) <= kFewRows;
}

inline std::vector<Visibility> VisibilityOfHeads(const Problem& p, const Share& share) {
  std::vector<Visibility> out;
  const int64_t group = p.heads / p.kv_heads;
  for (int64_t g = 0; g < group; g++) out.emplace_back(p, *share.sequence, share.kv_head * group + g);
  return out;
}

// Panels of keys that a share's queries may see, all heads.
inline Interval HullOf(const std::vector<Visibility>& visible, const Share& share) {
  Interval hull;
  for (const Visibility& v : visible) {
    const Interval one = v.Hull(share.begin, share.end);
    if (one.empty()) continue;
    hull = hull.empty() ? one : Interval{std::min(hull.begin, one.begin), std::max(hull.end, one.end)};
  }
  return hull;
}

inline bool SeenByAny(const std::vector<Visibility>& visible, int64_t key) {
  for (const Visibility& v : visible)
    if (v.Seen(key)) return true;
  return false;
}

// The batch row of key and value that holds key j.
inline int64_t KeyRow(const Problem& p, const Sequence& s, int64_t j) {
  return p.key_rows ? p.key_rows[s.row * p.key_rows_batch + j * p.key_rows_key] : s.row;
}

// Of additive scores, dimensions that the gradient takes together.
inline constexpr int64_t kStripe = 16;

// What a share adds to the gradients of its keys and values, to the param and, for euclidean scores, the sum over the queries of each key.
struct KeySums {
  Interval panels;
  bool scores = false;  // does the gradient of the scores go on, to queries, keys or the param?
  // (panels of dimensions, keys, 64); of additive scores (stripes, keys, 16); or the gradients themselves, (keys, D).
  struct Of {
    float* data = nullptr;
    int64_t dimension = 0;  // from the panel or stripe that begins at dimension d to dimension 0: d times this
    int64_t key = 0;        // from key to key
    bool in_place = false;  // then nothing is there yet, else zeros
    float factor = 1;       // what the sums are still to be multiplied with
    float* At(int64_t d, int64_t at) const { return data + d * dimension + at * key; }
  };
  Of key, value;
  float* column = nullptr;  // (keys)
  float* param = nullptr;   // (heads of the group, D or 1)

  int64_t keys() const { return (panels.end - panels.begin) * kPanel; }
};

inline int64_t KeyWidth(const Problem& p) {
  const int64_t unit = p.score == Score::additive ? kStripe : kPanel;
  return p.score == Score::given ? 0 : (p.dim + unit - 1) / unit * unit;
}
inline int64_t ValueWidth(const Problem& p) { return Panels(p.value_dim) * kPanel; }
inline int64_t ParamWidth(const Problem& p) {
  return p.score == Score::additive ? p.dim : p.score == Score::cosine || p.score == Score::euclidean ? 1 : 0;
}

}  // namespace attend::kernels::attention
