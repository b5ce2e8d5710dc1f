#include "attend/search/constraints.h"

#include <algorithm>
#include <string>

#include "attend/base/error.h"
#include "attend/search/search.h"

namespace attend::search {

std::vector<int32_t> Forbidden(std::span<const int32_t> tokens, const Symbols& symbols, const SearchOptions& options) {
  std::vector<int32_t> out = symbols.never;
  if (static_cast<int64_t>(tokens.size()) < options.min_length) out.push_back(symbols.end);
  const auto n = static_cast<size_t>(options.no_repeat_ngram);
  if (n == 0 || tokens.size() < n) return out;
  const std::span<const int32_t> last = tokens.last(n - 1);
  for (size_t i = 0; i + n <= tokens.size(); i++)
    if (std::equal(last.begin(), last.end(), tokens.begin() + static_cast<std::ptrdiff_t>(i))) out.push_back(tokens[i + n - 1]);
  return out;
}

void CheckPrefixes(std::span<const Sentence> sentences, const Symbols& symbols, const SearchOptions& options) {
  for (const Sentence& s : sentences) {
    if (s.prefix.empty()) continue;
    const int limit = MaxLength(options, s.source_length);
    if (s.prefix.size() > static_cast<size_t>(limit))
      throw UserError("search.prefix", "at most " + std::to_string(limit) + " tokens (max_length, max_ratio, max_extra)",
                      std::to_string(s.prefix.size()));
    for (int32_t id : s.prefix)
      if (id < 0 || id == symbols.end) throw UserError("search.prefix", "ids of words", std::to_string(id));
  }
}

}  // namespace attend::search
