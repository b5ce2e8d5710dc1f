#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attend/search/decoder.h"

namespace attend::search {

// The ids that a search must know.
struct Symbols {
  int32_t start = 0;
  int32_t end = 0;
  std::vector<int32_t> never;  // ids that no output contains: padding, the start symbol, ...
};

// What is asked for one row of the decoder's batch.
struct Sentence {
  int64_t source_length = 0;    // positions of the source; 0 where there is none
  int64_t example = 0;          // line of the input: keys the draws of sampling
  std::vector<int32_t> prefix;  // ids that the output starts with
};

// Where the tokens of one hypothesis looked, in one layer.
struct HypothesisMap {
  std::string path;
  MapOver over = MapOver::source;
  int64_t tokens = 0, heads = 0, keys = 0;  // tokens: as many as log_probs of the hypothesis has
  std::vector<float> weights;               // (tokens, heads, keys)
  bool aligns = true;                       // see StepMap
  int64_t head = -1;
};

struct Hypothesis {
  std::vector<int32_t> ids;      // without start and end symbol
  std::vector<float> log_probs;  // of each id and, when complete, of the end symbol
  double log_prob = 0;           // their sum
  double score = 0;              // log_prob after length and coverage penalty
  bool complete = false;         // the end symbol was reached; false: cut at the greatest length (or no id was possible)
  std::vector<HypothesisMap> maps;
};

using Hypotheses = std::vector<Hypothesis>;  // of one sentence, best first

}  // namespace attend::search
