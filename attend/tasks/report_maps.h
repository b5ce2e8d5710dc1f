#pragma once

#include <string>
#include <vector>

#include "attend/report/attention_map.h"
#include "attend/search/hypothesis.h"

namespace attend::tasks {

// A map of an output as reports have it; rows: the output's tokens; columns: those that are looked at.
report::AttentionMap ToReport(const search::HypothesisMap& map, const std::vector<std::string>& rows,
                              const std::vector<std::string>& columns);

// All maps of an output. inputs: the decoder's inputs, the start symbol and the output but for its last token; source: its pieces, where
// there is one.
std::vector<report::AttentionMap> ToReport(const std::vector<search::HypothesisMap>& maps, const std::vector<std::string>& rows,
                                           const std::string& start, const std::vector<std::string>& source);

}  // namespace attend::tasks
