#pragma once

#include <span>
#include <string>
#include <vector>

#include "attend/search/decoder.h"
#include "attend/search/hypothesis.h"
#include "attend/search/options.h"

namespace attend::search {

// Finds outputs of `sentences`, which are the rows that `decoder` starts with, in that order. Returns, for each, up to options.nbest
// hypotheses; with `maps`, each carries the attention of the decoding that happened. The result for a sentence does not depend on
// the sentences beside it.
//
// Beam search keeps the options.beam most likely unfinished hypotheses. One is complete when the end symbol is among the beam most
// likely continuations of its sentence; equal totals are ordered by smaller id, then by better rank of what they continue. A sentence
// stops after patience x beam complete hypotheses ("first come, first served" of Kasai et al. 2022, "A call for clarity in beam
// search"). A hypothesis is given up when no continuation can win: log-probabilities only fall and both length penalties only
// grow, so its final score is at most log_prob / lp(max length + 1); when that is not above the n-th best complete score, its row leaves
// the batch. This loses nothing. Complete hypotheses come first, by score; cut ones only fill up.
//
// With options.sample the hypotheses are options.nbest independent samples, in the order of their numbers.
//
// Throws UserError for options or prefixes that cannot be, SystemError when the decoder returns NaN or a result of another shape.
std::vector<Hypotheses> Search(Decoder& decoder, std::span<const Sentence> sentences, const Symbols& symbols, const SearchOptions& options,
                               Maps maps = Maps::none);

// The log-probabilities of given outputs: targets[i], then the end symbol, for row i of the decoder. score is log_prob.
Hypotheses Score(Decoder& decoder, std::span<const Sentence> sentences, std::span<const std::vector<int32_t>> targets,
                 const Symbols& symbols, Maps maps = Maps::none);

// The greatest number of ids (without end symbol) of an output: the smaller of max_length and max_ratio x source + max_extra.
int MaxLength(const SearchOptions& options, int64_t source_length);

// One line for the user about outputs that were cut at MaxLength; empty when there are none.
std::string CutNotice(int64_t cut, int64_t outputs, const SearchOptions& options);

}  // namespace attend::search
