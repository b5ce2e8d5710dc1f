#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attend/search/decoder.h"

namespace attend::nn {

// An attention map as recorded: (B, heads, Tq, Tk), in the graph when training.
struct RecordedMap {
  std::string path;
  at::Tensor weights;
};

// What one pass through a model carries besides its tensors: whether it trains, the keys of its random draws, the request for
// maps and what was recorded, and the auxiliary losses. Passed explicitly; no globals.
struct Context {
  bool training = false;
  uint64_t seed = 0, step = 0;
  std::vector<int64_t> examples;  // (B) line of the corpus: keys the row's draws
  at::Device device = at::kCPU;

  search::Maps maps = search::Maps::none;
  std::vector<RecordedMap> recorded;
  std::vector<std::pair<std::string, at::Tensor>> losses;  // name and sum over the batch, to be added with its own weight

  // (B) int64: one Philox key a row for draws of this purpose ("decoder.attention:weights").
  at::Tensor RowKeys(std::string_view purpose) const;
};

}  // namespace attend::nn
