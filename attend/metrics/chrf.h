#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attend/metrics/metric.h"

namespace attend::metrics {

// chrF (Popović 2015), and with word_order 2 chrF++ (Popović 2017).
struct ChrfOptions {
  int character_order = 6;  // 1 to 64
  int word_order = 0;       // 0 to 64
  int beta = 2;             // recall weighs beta² times as much as precision; 0 to 1000
  bool lowercase = false;
  bool whitespace = false;     // count white space as characters
  bool eps_smoothing = false;  // mean of the orders' F scores, as in chrF++.py, NLTK and Moses; else F of the mean over effective orders
};

// What one order of n-grams adds up to.
struct ChrfCounts {
  int64_t output = 0, reference = 0, matches = 0;
  bool operator==(const ChrfCounts&) const = default;
};

// One entry an order, characters first, then words. Resampling tests draw segments and add these.
using ChrfStatistics = std::vector<ChrfCounts>;

// Statistics of one segment, against the reference with the best F score. Thread-safe. Needs at least one reference; throws
// UserError for options out of range.
ChrfStatistics SegmentChrf(std::string_view output, std::span<const std::string> references, const ChrfOptions& options);

// Statistics of every segment; arguments and errors as for AllBleuStatistics.
std::vector<ChrfStatistics> AllChrfStatistics(std::span<const std::string> outputs, std::span<const std::vector<std::string>> references,
                                              const ChrfOptions& options);

// chrF, 0 to 100, of summed statistics.
double ScoreChrf(std::span<const ChrfCounts> statistics, const ChrfOptions& options);

double CorpusChrf(std::span<const std::string> outputs, std::span<const std::vector<std::string>> references, const ChrfOptions& options);
double SentenceChrf(std::string_view output, std::span<const std::string> references, const ChrfOptions& options);

// "chrF2", "chrF2++": beta, and a plus for each word order.
std::string ChrfName(const ChrfOptions& options);

// "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0"
std::string ChrfSignature(const ChrfOptions& options, int references);

Metric ChrfMetric(double score, const ChrfOptions& options, int references);

}  // namespace attend::metrics
