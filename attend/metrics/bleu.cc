#include "attend/metrics/bleu.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "attend/metrics/ngrams.h"
#include "attend/metrics/segments.h"
#include "attend/metrics/signature.h"
#include "attend/metrics/unicode.h"

namespace attend::metrics {
namespace {

constexpr Choice kSmoothings[] = {
    {"exp", static_cast<int>(BleuSmoothing::exp), "each zero precision counts half of the one before (NIST)"},
    {"floor", static_cast<int>(BleuSmoothing::floor), "a small count in place of zero (0.1)"},
    {"add-k", static_cast<int>(BleuSmoothing::add_k), "k added to matches and totals above unigrams (1)"},
    {"none", static_cast<int>(BleuSmoothing::none), "a zero precision makes the score zero"},
};

double SmoothingValue(const BleuOptions& options) {
  const double value = options.smoothing_value.value_or(options.smoothing == BleuSmoothing::floor ? 0.1 : 1.0);
  if (!(value >= 0) || std::isinf(value)) throw UserError("bleu", "a smoothing value of at least 0", std::to_string(value));
  return value;
}

// A segment's text as BLEU sees it, with its words' numbers in the index. The words are views into text.
struct Words {
  Words(std::string_view line, const BleuOptions& options, NgramIndex* index) {
    std::u32string decoded = Decode(line);
    if (options.lowercase) decoded = Lower(decoded);
    text = Tokenize(options.tokenizer, StripRight(decoded));
    for (const std::u32string_view word : Split(text)) items.push_back(index->Item(word));
    orders = index->All(items, kBleuOrder);
  }
  Words(const Words&) = delete;
  Words& operator=(const Words&) = delete;

  std::u32string text;
  std::vector<int32_t> items;
  std::vector<std::vector<int32_t>> orders;
};

std::vector<int64_t> CountNumbers(const std::vector<std::vector<int32_t>>& orders, size_t size) {
  std::vector<int64_t> counts(size);
  for (const std::vector<int32_t>& order : orders)
    for (const int32_t ngram : order) ++counts[static_cast<size_t>(ngram)];
  return counts;
}

}  // namespace

std::span<const Choice> Choices(BleuSmoothing) { return kSmoothings; }

BleuStatistics& BleuStatistics::operator+=(const BleuStatistics& other) {
  system_length += other.system_length;
  reference_length += other.reference_length;
  for (size_t n = 0; n < counts.size(); ++n) {
    counts[n] += other.counts[n];
    totals[n] += other.totals[n];
  }
  return *this;
}

BleuStatistics SegmentBleu(std::string_view output, std::span<const std::string> references, const BleuOptions& options) {
  if (references.empty()) throw UserError("bleu", "at least one reference", "none");
  NgramIndex index;
  // The index holds views of every text it has numbered: all texts live until the end, and their addresses never change.
  std::vector<std::unique_ptr<Words>> of_references;
  for (const std::string& line : references) of_references.push_back(std::make_unique<Words>(line, options, &index));
  const Words of_output(output, options, &index);

  BleuStatistics out;
  out.system_length = static_cast<int64_t>(of_output.items.size());
  std::vector<int64_t> allowed(index.Size());  // the most any one reference has of an n-gram
  int64_t closest = -1;
  for (const std::unique_ptr<Words>& words : of_references) {
    const std::vector<int64_t> counts = CountNumbers(words->orders, index.Size());
    std::transform(counts.begin(), counts.end(), allowed.begin(), allowed.begin(), [](int64_t a, int64_t b) { return std::max(a, b); });
    const auto length = static_cast<int64_t>(words->items.size());
    const int64_t difference = std::abs(out.system_length - length);
    if (closest < 0 || difference < closest || (difference == closest && length < out.reference_length)) {
      closest = difference;
      out.reference_length = length;
    }
  }
  for (size_t n = 0; n < out.counts.size(); ++n) {
    const std::vector<int32_t>& ngrams = of_output.orders[n];
    out.totals[n] = static_cast<int64_t>(ngrams.size());
    for (const int32_t ngram : ngrams) {
      if (allowed[static_cast<size_t>(ngram)]-- > 0) ++out.counts[n];
    }
  }
  return out;
}

std::vector<BleuStatistics> AllBleuStatistics(std::span<const std::string> outputs, std::span<const std::vector<std::string>> references,
                                              const BleuOptions& options) {
  CheckSegments("bleu", outputs, references);
  return EachSegment(outputs, references, [&options](std::string_view output, std::span<const std::string> of_segment) {
    return SegmentBleu(output, of_segment, options);
  });
}

BleuScore ScoreBleu(const BleuStatistics& statistics, const BleuOptions& options) {
  BleuScore out;
  out.statistics = statistics;
  const auto system = static_cast<double>(statistics.system_length), reference = static_cast<double>(statistics.reference_length);
  if (system < reference) out.brevity_penalty = system > 0 ? std::exp(1 - reference / system) : 0;
  if (std::all_of(statistics.counts.begin(), statistics.counts.end(), [](int64_t count) { return count == 0; })) return out;

  const double value = SmoothingValue(options);
  double halvings = 1;
  int order = kBleuOrder;
  for (int n = 1; n <= kBleuOrder; ++n) {
    const auto i = static_cast<size_t>(n - 1);
    auto count = static_cast<double>(statistics.counts[i]), total = static_cast<double>(statistics.totals[i]);
    if (options.smoothing == BleuSmoothing::add_k && n > 1) {
      count += value;
      total += value;
    }
    if (total == 0) break;
    if (options.effective_order) order = n;
    if (count != 0) {
      out.precisions[i] = 100 * count / total;
    } else if (options.smoothing == BleuSmoothing::exp) {
      halvings *= 2;
      out.precisions[i] = 100 / (halvings * total);
    } else if (options.smoothing == BleuSmoothing::floor) {
      out.precisions[i] = 100 * value / total;
    }
  }
  constexpr double kLogOfZero = -9999999999;  // sacreBLEU's
  double sum = 0;
  for (int n = 0; n < order; ++n) {
    const double precision = out.precisions[static_cast<size_t>(n)];
    sum += precision == 0 ? kLogOfZero : std::log(precision);
  }
  out.score = out.brevity_penalty * std::exp(sum / order);
  return out;
}

BleuScore CorpusBleu(std::span<const std::string> outputs, std::span<const std::vector<std::string>> references,
                     const BleuOptions& options) {
  BleuStatistics sum;
  for (const BleuStatistics& segment : AllBleuStatistics(outputs, references, options)) sum += segment;
  return ScoreBleu(sum, options);
}

BleuScore SentenceBleu(std::string_view output, std::span<const std::string> references, const BleuOptions& options) {
  return ScoreBleu(SegmentBleu(output, references, options), options);
}

std::string BleuSignature(const BleuOptions& options, int references) {
  std::string smoothing(Name(options.smoothing));
  if (options.smoothing == BleuSmoothing::floor || options.smoothing == BleuSmoothing::add_k) {
    char value[400];
    std::snprintf(value, sizeof value, "[%.2f]", SmoothingValue(options));
    smoothing += value;
  }
  return Signature(references, std::string("case:") + (options.lowercase ? "lc" : "mixed") + "|eff:" + YesNo(options.effective_order) +
                                   "|tok:" + std::string(Name(options.tokenizer)) + "|smooth:" + smoothing);
}

Metric BleuMetric(const BleuScore& score, const BleuOptions& options, int references) {
  const BleuStatistics& s = score.statistics;
  const double ratio = s.reference_length > 0 ? static_cast<double>(s.system_length) / static_cast<double>(s.reference_length) : 0;
  char details[400];
  std::snprintf(details, sizeof details, "%.1f/%.1f/%.1f/%.1f (BP = %.3f ratio = %.3f hyp_len = %lld ref_len = %lld)", score.precisions[0],
                score.precisions[1], score.precisions[2], score.precisions[3], score.brevity_penalty, ratio,
                static_cast<long long>(s.system_length), static_cast<long long>(s.reference_length));
  return {MetricKind::bleu, "BLEU", score.score, BleuSignature(options, references), details};
}

}  // namespace attend::metrics
