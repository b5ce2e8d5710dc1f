#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "attend/nn/attention.h"

namespace attend::nn {

// What a decoder's attention layers prepared of the source, one copy a sentence however many rows the sentence has.
class SentenceMemory {
 public:
  // One memory a layer, of `sentences` rows each.
  SentenceMemory(std::vector<AttentionMemory> layers, int64_t sentences);

  // New row i goes on from row parents[i]. False when that changes nothing.
  bool Select(std::span<const int32_t> parents);
  // The layers' memory of the sentences that still have rows, with the place in it of each row. Sentences that are done are left out, and
  // keys beyond the longest remaining sentence.
  const std::vector<AttentionMemory>& Gather();

 private:
  std::vector<AttentionMemory> layers_, gathered_;
  std::vector<int64_t> sentence_, gathered_for_;  // the memory's row of each row
  std::vector<int64_t> left_;                     // the memory's rows that gathered_ holds
  int64_t sentences_;
};

}  // namespace attend::nn
