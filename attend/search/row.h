#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "attend/search/decoder.h"

namespace attend::search {

inline constexpr float kNever = -std::numeric_limits<float>::infinity();  // the score of what must not be chosen

// One row of scores over the vocabulary, looked at in blocks. Reused from row to row to keep its memory. Not thread-safe.
class Row {
 public:
  // Points at `logits`, which must outlive the uses below, and takes the greatest value of each block.
  void Set(std::span<const float> logits);

  // log sum_j exp(logits_j); NaN for NaN, +infinity or nothing but -infinity among them.
  double LogSumExp();

  // The ids of the k greatest logits above -infinity (fewer where there are fewer), greatest first, ties by smaller id. The row holds
  // no NaN. The result is overwritten by the next call.
  std::span<const int32_t> Top(int64_t k);

  // An id drawn as Choose says, -1 where all logits are -infinity. `uniform` in [0, 1).
  int32_t Draw(const Sampling& sampling, double uniform);

 private:
  bool Better(int32_t a, int32_t b) const;  // more likely, or as likely and smaller
  double Weight(int32_t id, double temperature) const;
  void Collect(float floor);  // into ids_: the ids whose logits are at least `floor` and above -infinity, ascending
  void KeepNucleus(double temperature, double goal);
  int32_t DrawAny(double temperature, double uniform);
  int32_t DrawCut(const Sampling& sampling, double uniform);
  double SumAt(double temperature);

  std::span<const float> logits_;
  float max_ = 0;
  std::vector<float> top_, sum_, order_;  // one entry a block
  std::vector<int32_t> ids_;
};

}  // namespace attend::search
