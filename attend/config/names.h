#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attend::config {

// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours (Damerau 1964), on bytes.
// Gives up with limit + 1 as soon as the distance exceeds `limit`.
size_t EditDistance(std::string_view a, std::string_view b, size_t limit);

// The candidate that `name` is most likely a misspelling of, or "" when none is near: at most one edit per three characters
// (at least one); case and -/_ count as equal; ties go to the earlier candidate. Otherwise the only candidate that begins
// with `name` (three characters or more).
std::string NearestName(std::string_view name, std::span<const std::string> candidates);

// "; did you mean x?" or "".
std::string DidYouMean(std::string_view name, std::span<const std::string> candidates);

}  // namespace attend::config
