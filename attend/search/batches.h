#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "attend/search/options.h"

namespace attend::search {

// Groups sentences of like length for decoding: indices into `lengths`, longest first, at most options.batch_sentences a group and
// options.batch_tokens tokens with padding (a longer sentence stands alone). Every index appears once.
std::vector<std::vector<int64_t>> Batches(std::span<const int64_t> lengths, const SearchOptions& options);

}  // namespace attend::search
