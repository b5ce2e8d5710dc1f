#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "attend/search/hypothesis.h"
#include "attend/search/options.h"

namespace attend::search {

// The ids that may not follow `tokens`: symbols.never, the end symbol below options.min_length, and every id that would repeat a
// sequence of options.no_repeat_ngram tokens.
std::vector<int32_t> Forbidden(std::span<const int32_t> tokens, const Symbols& symbols, const SearchOptions& options);

// Throws UserError when a prefix holds an id below 0 or the end symbol, or is longer than MaxLength.
void CheckPrefixes(std::span<const Sentence> sentences, const Symbols& symbols, const SearchOptions& options);

}  // namespace attend::search
