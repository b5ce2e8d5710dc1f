#include "attend/config/names.h"

#include <algorithm>
#include <cctype>

namespace attend::config {

size_t EditDistance(std::string_view a, std::string_view b, size_t limit) {
  if (std::max(a.size(), b.size()) - std::min(a.size(), b.size()) > limit) return limit + 1;
  // Rows i − 2, i − 1 and i of the table of distances between prefixes.
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    before.swap(last);
    last.swap(row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    if (*std::min_element(row.begin(), row.end()) > limit && *std::min_element(last.begin(), last.end()) > limit) return limit + 1;
  }
  return std::min(row[b.size()], limit + 1);
}

namespace {
std::string Folded(std::string_view name) {
  std::string out(name);
  for (char& c : out) c = c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}
}  // namespace

std::string NearestName(std::string_view name, std::span<const std::string> candidates) {
  constexpr size_t kLongestName = 200;
  if (name.empty() || name.size() > kLongestName) return "";
  const std::string folded = Folded(name);
  size_t limit = std::max<size_t>(1, name.size() / 3);
  const std::string* best = nullptr;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(folded, Folded(candidate), limit);
    if (distance > limit || distance >= std::max(name.size(), candidate.size())) continue;
    best = &candidate;
    if (distance == 0) break;
    limit = distance - 1;  // only a nearer one replaces it
  }
  if (best) return *best;
  if (name.size() < 3) return "";
  for (const std::string& candidate : candidates) {
    if (!Folded(candidate).starts_with(folded)) continue;
    if (best && *best != candidate) return "";
    best = &candidate;
  }
  return best ? *best : "";
}

std::string DidYouMean(std::string_view name, std::span<const std::string> candidates) {
  const std::string nearest = NearestName(name, candidates);
  return nearest.empty() ? "" : "; did you mean " + nearest + "?";
}

}  // namespace attend::config
