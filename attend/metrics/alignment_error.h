#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attend/metrics/metric.h"

namespace attend::metrics {

// A link between word `source` and word `target` of a sentence pair, both from 0.
struct Link {
  int32_t source = 0, target = 0;
  auto operator<=>(const Link&) const = default;
};

// The links of one sentence pair, sorted, each once. `possible` contains `sure`.
struct Links {
  std::vector<Link> sure, possible;
};

// "0-0 1-2 2?1 3p1": i-j is a sure link, i?j and ipj are possible ones, separated by white space; an empty line has none. A link
// given as both is sure. Throws UserError with the line's number (from 1) for anything else.
Links ParseLinks(std::string_view text, int64_t line);

// "0-0 1-2": what ParseLinks reads as sure links.
std::string FormatLinks(std::span<const Link> links);

// What the alignment error rate adds up over a corpus, in links.
struct AlignmentCounts {
  int64_t output = 0, sure = 0, output_and_sure = 0, output_and_possible = 0;

  AlignmentCounts& operator+=(const AlignmentCounts& other);
};

// `output` are a system's links, possible ones among them counted like sure ones.
AlignmentCounts CompareLinks(const Links& output, const Links& gold);

// The same from the lines of two files. Throws UserError for different numbers of lines, for none and for ill-formed lines.
AlignmentCounts CompareLinks(std::span<const std::string> outputs, std::span<const std::string> golds);

// AER = 1 − (|A ∩ S| + |A ∩ P|) / (|A| + |S|) (Och & Ney 2003), from 0 to 1; 0 when there are no links at all.
double AlignmentErrorRate(const AlignmentCounts& counts);
double AlignmentPrecision(const AlignmentCounts& counts);  // |A ∩ P| / |A|; 1 when A is empty
double AlignmentRecall(const AlignmentCounts& counts);     // |A ∩ S| / |S|; 1 when S is empty

// Details: precision, recall and the numbers of links.
Metric AlignmentMetric(const AlignmentCounts& counts);

}  // namespace attend::metrics
