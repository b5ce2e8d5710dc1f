#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attend/base/enum.h"
#include "attend/metrics/bleu_tokenizer.h"
#include "attend/metrics/metric.h"

namespace attend::metrics {

inline constexpr int kBleuOrder = 4;

// What stands in for an n-gram precision of zero (Chen & Cherry 2014): exp halves it anew each time (NIST, mteval-v13a), floor
// puts a small count in its place, add_k adds k to matches and totals of the orders above 1.
enum class BleuSmoothing { exp, floor, add_k, none };

std::span<const Choice> Choices(BleuSmoothing);

struct BleuOptions {
  BleuTokenizer tokenizer = BleuTokenizer::mteval_13a;
  bool lowercase = false;
  BleuSmoothing smoothing = BleuSmoothing::exp;
  std::optional<double> smoothing_value;  // of floor (0.1) and add_k (1)
  bool effective_order = false;           // leave out orders for which the output is too short; for single sentences
};

// All that BLEU needs of a segment or, summed, of a corpus. Resampling tests draw segments and add these.
struct BleuStatistics {
  int64_t system_length = 0;                           // in words of the tokeniser
  int64_t reference_length = 0;                        // of the reference closest in length, the shorter one at a tie
  std::array<int64_t, kBleuOrder> counts{}, totals{};  // matching (clipped) and all n-grams of the output, n − 1 as index

  BleuStatistics& operator+=(const BleuStatistics& other);
  bool operator==(const BleuStatistics&) const = default;
};

struct BleuScore {
  double score = 0;                             // 0 to 100
  std::array<double, kBleuOrder> precisions{};  // 0 to 100, smoothed
  double brevity_penalty = 1;
  BleuStatistics statistics;
};

// Statistics of one segment. Thread-safe. Needs at least one reference.
BleuStatistics SegmentBleu(std::string_view output, std::span<const std::string> references, const BleuOptions& options);

// Statistics of every segment. references[r][i] is reference r of segment i. Throws UserError for a reference file whose number
// of lines differs, and for no segment at all.
std::vector<BleuStatistics> AllBleuStatistics(std::span<const std::string> outputs, std::span<const std::vector<std::string>> references,
                                              const BleuOptions& options);

// BLEU of summed statistics.
BleuScore ScoreBleu(const BleuStatistics& statistics, const BleuOptions& options);

BleuScore CorpusBleu(std::span<const std::string> outputs, std::span<const std::vector<std::string>> references,
                     const BleuOptions& options);

// One sentence's BLEU; sacreBLEU's sentence_bleu sets effective_order.
BleuScore SentenceBleu(std::string_view output, std::span<const std::string> references, const BleuOptions& options);

// "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"
std::string BleuSignature(const BleuOptions& options, int references);

// With sacreBLEU's verbose part as details: "66.7/50.0/… (BP = 1.000 ratio = 1.000 hyp_len = 3 ref_len = 3)".
Metric BleuMetric(const BleuScore& score, const BleuOptions& options, int references);

}  // namespace attend::metrics
