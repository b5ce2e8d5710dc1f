#pragma once

#include <span>

#include "attend/search/options.h"

namespace attend::search {

// lp(Y) for an output of `length` tokens, the end symbol counted.
double LengthDivisor(const SearchOptions& options, int length);

// Equation 14 of Wu et al. 2016 ("Google's neural machine translation system"), not above 0:
//   beta sum_i log(min(max(c_i, 1e-6), 1)),  c_i = attention that source position i got from all tokens.
// The floor keeps positions that no token could see from ruling an output out.
double CoveragePenalty(const SearchOptions& options, std::span<const float> coverage);

// The greatest score that a hypothesis of this log-probability can still reach with at most `length` tokens: log-probabilities only
// fall, lp only grows, coverage is at most complete.
double ScoreBound(const SearchOptions& options, double log_prob, int length);

}  // namespace attend::search
