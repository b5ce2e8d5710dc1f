#pragma once

#include <span>
#include <vector>

#include "attend/search/grower.h"
#include "attend/search/hypothesis.h"
#include "attend/search/options.h"

namespace attend::search {

// options.nbest independent samples of each sentence, in the order of their numbers. Sample s of a sentence draws under the key
// RowKey(seed, Purpose("search:sample"), s, example), so it does not depend on the batch or on how many samples are asked for.
std::vector<Hypotheses> Sample(Grower& grower, std::span<const Sentence> sentences, const Symbols& symbols, const SearchOptions& options,
                               bool maps);

}  // namespace attend::search
