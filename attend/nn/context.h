#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attend/search/decoder.h"

namespace attend::nn {

// Which positions attend to which: those of the output to the source, to the output before them, or to the decoder's inputs (the start
// symbol and the output before them); those of the source to each other.
enum class MapKind { cross, output, input, source };

// An attention map as recorded: (B, heads, Tq, Tk), in the graph when training.
struct RecordedMap {
  std::string path;
  at::Tensor weights;
  MapKind kind = MapKind::cross;
  bool aligns = true;  // where it is over the source: does it tell what a token translates?
  int64_t head = -1;   // and which of its heads does; -1: the mean of all
};

// What a hard readout chose, to be trained by REINFORCE: log-probability of the choice and entropy of the weights, (B, heads, Tq), both in
// the graph, and the entropy's weight in the loss.
struct RecordedChoice {
  at::Tensor log_prob, entropy;
  double entropy_weight = 0;
  MapKind kind = MapKind::cross;
};

// What one pass through a model carries besides its tensors: whether it trains, the keys of its random draws, the request for
// maps and what was recorded, and what the auxiliary losses are made of. Passed explicitly; no globals.
struct Context {
  bool training = false;
  uint64_t seed = 0, step = 0;
  std::vector<int64_t> examples;  // (B) line of the corpus: keys the row's draws
  at::Device device = at::kCPU;
  bool recompute = false;          // layers compute their inner values again in the backward pass, where they can
  std::optional<double> baseline;  // what a token's loss is compared with by REINFORCE; none: nothing to compare with yet

  search::Maps maps = search::Maps::none;
  bool every_head = false;  // of the maps that Maps::summed records, in place of their sum
  std::vector<RecordedMap> recorded;
  std::vector<RecordedChoice> choices;

  bool sums_heads() const { return maps == search::Maps::summed && !every_head; }
  // (B) int64: one Philox key a row for draws of this purpose ("decoder.attention:weights").
  at::Tensor RowKeys(std::string_view purpose) const;
};

}  // namespace attend::nn
