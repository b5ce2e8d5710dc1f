#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "attend/search/decoder.h"

namespace attend::search {

// Runs body(begin, end) over disjoint pieces of [0, n), which together are all of it; returns when all are done.
using ParallelFor = std::function<void(int64_t n, const std::function<void(int64_t begin, int64_t end)>& body)>;

// A ParallelFor of the calling thread alone.
void Serial(int64_t n, const std::function<void(int64_t begin, int64_t end)>& body);

// Turns scores over the vocabulary into the answer to a request: its `maps` stay empty.
//
// `logits` (rows, vocabulary) need not be normalised: log-probabilities are logits minus their log-sum-exp, over all ids. The entries
// of forbidden ids are overwritten with -infinity. Ids of probability 0 are neither returned nor drawn. A row that holds NaN or
// +infinity, or nothing but -infinity, has NaN log-probabilities and ids of -1.
// A draw: temperature, then the top_k most likely, then the fewest of these whose probability reaches top_p, by inversion of the
// distribution function at a uniform draw from Philox(key = row key; counter = (0, position, 0, 0)).
// Rows do not influence each other. Throws UserError when the request does not fit rows and vocabulary.
StepResult Choose(std::span<float> logits, int64_t rows, int64_t vocabulary, const StepRequest& request,
                  const ParallelFor& parallel = Serial);

}  // namespace attend::search
