#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "attend/kernels/attention/problem.h"

namespace attend::kernels::attention {

inline constexpr int64_t kPanel = 64;     // keys that are laid out, and looked at, together
inline constexpr int64_t kTileRows = 96;  // queries of a tile

inline int64_t Panels(int64_t n) { return (n + kPanel - 1) / kPanel; }

// Keys [begin, end).
struct Interval {
  int64_t begin = 0, end = 0;
  bool empty() const { return begin >= end; }
};

// Bits of the keys of panel `panel` that lie in `keys`.
inline uint64_t Bits(Interval keys, int64_t panel) {
  const int64_t begin = std::max<int64_t>(keys.begin - panel * kPanel, 0), end = std::min<int64_t>(keys.end - panel * kPanel, kPanel);
  if (begin >= end) return 0;
  return (end == kPanel ? ~uint64_t{0} : (uint64_t{1} << end) - 1) & ~((uint64_t{1} << begin) - 1);
}

inline int64_t FloorDivide(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

// Keys of a sequence that some query sees, as far as an interval says.
inline Interval SurelySeen(const Problem& p, const Sequence& s) {
  if (p.mask.data != nullptr || p.centers || s.seeing <= 0) return {};
  Interval keys{0, s.seen};  // the query at the same position sees a key whatever the window, the block and causality say
  if (p.window_left || p.block_size) keys.begin = std::max<int64_t>(0, s.offset);
  if (p.window_right || p.block_size || p.causal) keys.end = std::min(s.seen, s.offset + s.seeing);
  return keys;
}

// Which keys a query of one sequence and head may see: an interval, and among the keys of a wider one the global keys; the boolean mask
// takes away from both.
class Visibility {
 public:
  Visibility(const Problem& p, const Sequence& s, int64_t head) : p_(p), s_(s), head_(head) {
    if (!p.global_keys) return;
    global_.assign(static_cast<size_t>(Panels(s.keys)), 0);
    const bool* g = p.global_keys + s.row * p.global_batch + s.key_start;
    for (int64_t j = 0; j < s.seen; j++)
      if (g[j]) global_[static_cast<size_t>(j / kPanel)] |= uint64_t{1} << (j % kPanel);
  }

  struct Row {
    Interval near;  // seen because it is near
    Interval may;   // global keys within are seen too
  };

  Row Of(int64_t query) const {
    if (query >= s_.seeing) return {};
    const int64_t at = s_.offset + query;
    Interval may{0, s_.seen};
    if (p_.causal) may.end = std::min(may.end, at + 1);
    if (p_.centers) {  // |j - c| <= D in the arithmetic of the definition, which rounds j - c
      const float c = p_.centers[s_.row * p_.centers_batch + head_ * p_.centers_head + s_.query_start + query], d = p_.half_width;
      const float limit = static_cast<float>(s_.seen);
      if (!(c - d <= limit && c + d >= 0)) return {};
      const auto within = [&](int64_t j) { return std::abs(static_cast<float>(j) - c) <= d; };
      int64_t begin = std::max<int64_t>(0, static_cast<int64_t>(std::floor(std::max(c - d, 0.0f))) - 1);
      int64_t end = static_cast<int64_t>(std::ceil(std::min(c + d, limit))) + 2;
      while (begin < end && !within(begin)) begin++;
      while (end > begin && !within(end - 1)) end--;
      may = {std::max(may.begin, begin), std::min(may.end, end)};
    }
    Interval near = may;
    if (p_.window_left) near.begin = std::max(near.begin, at - *p_.window_left);
    if (p_.window_right) near.end = std::min(near.end, at + *p_.window_right + 1);
    if (p_.block_size) {
      const int64_t block = FloorDivide(at, *p_.block_size), back = p_.look_back.value_or(0);
      near.begin = std::max(near.begin, (block - back) * *p_.block_size);
      near.end = std::min(near.end, (block + 1) * *p_.block_size);
    }
    return {near, may};
  }

  uint64_t Visible(const Row& row, int64_t query, int64_t panel) const {
    uint64_t bits = Bits(row.near, panel);
    if (!global_.empty()) bits |= global_[static_cast<size_t>(panel)] & Bits(row.may, panel);
    if (bits && masked()) bits &= Masked(query, panel);
    return bits;
  }

  bool masked() const { return p_.mask.data != nullptr; }

  // Panels that a query of [begin, end) may see; whole panels of none may lie between.
  Interval Hull(int64_t begin, int64_t end) const {
    Interval hull{std::numeric_limits<int64_t>::max(), 0};
    const auto widen = [&](Interval keys) {
      if (keys.empty()) return;
      hull.begin = std::min(hull.begin, keys.begin / kPanel);
      hull.end = std::max(hull.end, Panels(keys.end));
    };
    end = std::min(end, s_.seeing);
    if (begin < end && !p_.centers && global_.empty()) {  // then no query's keys begin or end before those of the query before
      widen({Of(begin).near.begin, Of(end - 1).near.end});
      return hull.begin < hull.end ? hull : Interval{};
    }
    for (int64_t q = begin; q < end; q++) {
      const Row row = Of(q);
      widen(row.near);
      for (size_t panel = 0; panel < global_.size(); panel++)
        if (global_[panel] & Bits(row.may, static_cast<int64_t>(panel))) widen(PanelOf(static_cast<int64_t>(panel)));
    }
    if (hull.begin >= hull.end) return {};
    return hull;
  }

  // Does any query of the sequence see key j?
  bool Seen(int64_t j) const {
    const uint64_t bit = uint64_t{1} << (j % kPanel);
    for (int64_t q = 0; q < s_.seeing; q++)
      if (Visible(Of(q), q, j / kPanel) & bit) return true;
    return false;
  }

 private:
  static Interval PanelOf(int64_t panel) { return {panel * kPanel, (panel + 1) * kPanel}; }

  uint64_t Masked(int64_t query, int64_t panel) const {
    const bool* m = p_.mask.data + s_.row * p_.mask.batch + head_ * p_.mask.head + query * p_.mask.query;
    const int64_t begin = panel * kPanel, n = std::min(kPanel, s_.keys - begin);
    uint64_t bits = 0;
    for (int64_t j = 0; j < n; j++) bits |= static_cast<uint64_t>(m[(begin + j) * p_.mask.key]) << j;
    return bits;
  }

  const Problem& p_;
  const Sequence& s_;
  int64_t head_;
  std::vector<uint64_t> global_;
};

// Neighbouring panels that some query of a tile sees, and where they stand in the tile's rows of scores.
struct Span {
  int64_t begin = 0, end = 0;  // panels
  int64_t column = 0;
};

// What the queries [begin, begin + rows) of one head see.
class Plan {
 public:
  // most: panels of a span; 0: no limit.
  void Make(const Visibility& visible, int64_t begin, int64_t rows, int64_t most) {
    spans.clear();
    bits_.clear();
    at_.clear();
    rows_ = rows;
    whole_ = 0;
    Visibility::Row row[kTileRows];
    Interval all{0, std::numeric_limits<int64_t>::max()};  // keys that every query sees
    for (int64_t r = 0; r < rows; r++) {
      row[r] = visible.Of(begin + r);
      all = {std::max(all.begin, row[r].near.begin), std::min(all.end, row[r].near.end)};
    }
    const Interval hull = visible.Hull(begin, begin + rows);
    width = 0;
    for (int64_t panel = hull.begin; panel < hull.end; panel++) {
      const bool whole = !visible.masked() && panel * kPanel >= all.begin && (panel + 1) * kPanel <= all.end;
      if (!whole) {
        uint64_t any = 0;
        const size_t at = bits_.size();
        for (int64_t r = 0; r < rows; r++) {
          bits_.push_back(visible.Visible(row[r], begin + r, panel));
          any |= bits_.back();
        }
        if (!any) {
          bits_.resize(at);
          continue;
        }
        at_.push_back(static_cast<int64_t>(at));
      } else {
        at_.push_back(-1);
        whole_++;
      }
      if (spans.empty() || spans.back().end != panel || (most > 0 && spans.back().end - spans.back().begin == most))
        spans.push_back({panel, panel, width});
      spans.back().end++;
      width += kPanel;
    }
  }

  // Do all queries see all keys of the panel at `column` of the rows?
  bool Whole(int64_t column) const { return at_[static_cast<size_t>(column / kPanel)] < 0; }
  // Which of them `row` sees.
  uint64_t Visible(int64_t column, int64_t row) const {
    const int64_t at = at_[static_cast<size_t>(column / kPanel)];
    return at < 0 ? ~uint64_t{0} : bits_[static_cast<size_t>(at + row)];
  }
  // Of keys that some of the rows [begin, end) see, among `panels` panels from `column` on: the interval of columns that holds all, from 0.
  Interval Hull(int64_t column, int64_t panels, int64_t begin, int64_t end) const {
    Interval hull{panels * kPanel, 0};
    for (int64_t i = 0; i < panels; i++) {
      uint64_t any = 0;
      for (int64_t r = begin; r < end && any != ~uint64_t{0}; r++) any |= Visible(column + i * kPanel, r);
      if (!any) continue;
      hull.begin = std::min(hull.begin, i * kPanel + __builtin_ctzll(any));
      hull.end = (i + 1) * kPanel - __builtin_clzll(any);
    }
    return hull;
  }
  // The rows that see some key of the panel at `column`, as an interval.
  Interval Rows(int64_t column) const {
    if (Whole(column)) return {0, rows_};
    Interval rows{0, rows_};
    while (rows.end > 0 && !Visible(column, rows.end - 1)) rows.end--;
    while (rows.begin < rows.end && !Visible(column, rows.begin)) rows.begin++;
    return rows;
  }
  // f(begin, end, Hull()) of rows [begin, end) that a product takes together, as many as see all alike.
  template <class Function>
  void ForRows(int64_t column, int64_t panels, int64_t together, const Function& f) const {
    bool whole = true;
    for (int64_t i = 0; i < panels; i++) whole = whole && Whole(column + i * kPanel);
    if (whole) return f(0, rows_, Interval{0, panels * kPanel});
    for (int64_t r = 0; r < rows_; r += together) {
      const int64_t end = std::min(rows_, r + together);
      f(r, end, Hull(column, panels, r, end));
    }
  }
  int64_t Count(int64_t row) const {
    int64_t n = whole_ * kPanel;
    for (size_t at = 0; at < bits_.size(); at += static_cast<size_t>(rows_))
      n += __builtin_popcountll(bits_[at + static_cast<size_t>(row)]);
    return n;
  }

  std::vector<Span> spans;
  int64_t width = 0;  // of the rows of scores, all spans

 private:
  std::vector<uint64_t> bits_;
  std::vector<int64_t> at_;  // of each panel its first entry of bits_; -1: all is seen
  int64_t whole_ = 0;        // how many of those
  int64_t rows_ = 0;
};

}  // namespace attend::kernels::attention
