#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attend/search/decoder.h"
#include "attend/search/hypothesis.h"

namespace attend::search {

// All prefixes that a search has grown, as a tree: a node is one token and points back to the node that it continues (-1: the start).
// Beside it stands the row of the step that scored the token, so that attention maps can be followed back.
class History {
 public:
  // Takes the maps of the step whose rows the next nodes name. Throws SystemError when their shape is not what they say.
  void AddStep(StepResult& result);
  int32_t Add(int32_t parent, int32_t token, float log_prob, int32_t row);

  int32_t Token(int32_t node) const { return nodes_[static_cast<size_t>(node)].token; }
  // All tokens from the start to `node`.
  std::vector<int32_t> Tokens(int32_t node) const;
  // Ids, log-probabilities and maps of the hypothesis that ends at `node`; complete: `node` is the end symbol. `source_length`
  // trims the keys of maps over the source (they may be padded); 0: not.
  Hypothesis Read(int32_t node, bool complete, int64_t source_length, bool maps) const;
  // (source_length) attention that each position got from all tokens: mean over heads and over all maps that look at the source.
  // Throws UserError when the decoder gave none.
  std::vector<float> Coverage(int32_t node, int64_t source_length) const;

 private:
  struct Node {
    int32_t parent, token, step, row;
    float log_prob;
  };
  std::vector<int32_t> Path(int32_t node) const;  // nodes from the start to `node`
  HypothesisMap ReadMap(const std::vector<int32_t>& path, size_t map, int64_t source_length) const;

  std::vector<Node> nodes_;
  std::vector<std::vector<StepMap>> maps_;  // of each step
};

}  // namespace attend::search
