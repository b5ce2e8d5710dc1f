#include "attend/metrics/chrf.h"

#include <algorithm>
#include <cstddef>

#include "attend/metrics/ngrams.h"
#include "attend/metrics/segments.h"
#include "attend/metrics/signature.h"
#include "attend/metrics/unicode.h"

namespace attend::metrics {
namespace {

void Check(std::string_view what, int value, int low, int high) {
  if (value < low || value > high)
    throw UserError("chrf", std::string(what) + " from " + std::to_string(low) + " to " + std::to_string(high), std::to_string(value));
}

void Check(const ChrfOptions& options) {
  Check("a character order", options.character_order, 1, 64);
  Check("a word order", options.word_order, 0, 64);
  Check("beta", options.beta, 0, 1000);
}

bool IsAsciiPunctuation(char32_t c) {  // string.punctuation
  return (c >= U'!' && c <= U'/') || (c >= U':' && c <= U'@') || (c >= U'[' && c <= U'`') || (c >= U'{' && c <= U'~');
}

// The words of text, a punctuation mark at a word's end or, failing that, its beginning being one of its own.
std::vector<std::u32string_view> WordsAndMarks(std::u32string_view text) {
  std::vector<std::u32string_view> out;
  for (const std::u32string_view word : Split(text)) {
    const size_t last = word.size() - 1;
    if (last > 0 && IsAsciiPunctuation(word[last]))
      out.insert(out.end(), {word.substr(0, last), word.substr(last)});
    else if (last > 0 && IsAsciiPunctuation(word[0]))
      out.insert(out.end(), {word.substr(0, 1), word.substr(1)});
    else
      out.push_back(word);
  }
  return out;
}

using Orders = std::vector<std::vector<int32_t>>;  // the n-gram numbers of each order

// Numbers the n-grams of a segment's texts. The texts must outlive it.
class Segment {
 public:
  explicit Segment(const ChrfOptions& options) : options_(options) {}

  Orders Number(std::u32string_view text) {
    std::vector<int32_t> items;
    for (size_t i = 0; i < text.size(); ++i)
      if (options_.whitespace || !IsSpace(text[i])) items.push_back(characters_.Item(text.substr(i, 1)));
    Orders orders = characters_.All(items, options_.character_order);
    if (options_.word_order > 0) {
      items.clear();
      for (const std::u32string_view word : WordsAndMarks(text)) items.push_back(words_.Item(word));
      for (std::vector<int32_t>& order : words_.All(items, options_.word_order)) orders.push_back(std::move(order));
    }
    return orders;
  }

  ChrfStatistics Compare(const Orders& output, const Orders& reference) const {
    ChrfStatistics out(output.size());
    std::vector<int64_t> available(std::max(characters_.Size(), words_.Size()));
    for (size_t n = 0; n < output.size(); ++n) {
      for (const int32_t ngram : reference[n]) ++available[static_cast<size_t>(ngram)];
      for (const int32_t ngram : output[n]) {
        int64_t& left = available[static_cast<size_t>(ngram)];
        if (left > 0) {
          --left;
          ++out[n].matches;
        }
      }
      for (const int32_t ngram : reference[n]) available[static_cast<size_t>(ngram)] = 0;
      out[n].reference = static_cast<int64_t>(reference[n].size());
      out[n].output = reference[n].empty() ? 0 : static_cast<int64_t>(output[n].size());  // not counted against nothing
    }
    return out;
  }

 private:
  const ChrfOptions& options_;
  NgramIndex characters_, words_;
};

std::u32string Prepared(std::string_view line, const ChrfOptions& options) {
  std::u32string text = Decode(line);
  return options.lowercase ? Lower(text) : text;
}

}  // namespace

ChrfStatistics SegmentChrf(std::string_view output, std::span<const std::string> references, const ChrfOptions& options) {
  Check(options);
  if (references.empty()) throw UserError("chrf", "at least one reference", "none");
  std::vector<std::u32string> texts;  // the segment holds views of them
  for (const std::string& line : references) texts.push_back(Prepared(line, options));
  texts.push_back(Prepared(output, options));

  Segment segment(options);
  std::vector<Orders> numbered;
  for (const std::u32string& text : texts) numbered.push_back(segment.Number(text));
  ChrfStatistics best;
  double best_score = -1;
  for (size_t r = 0; r < references.size(); ++r) {
    ChrfStatistics statistics = segment.Compare(numbered.back(), numbered[r]);
    const double score = ScoreChrf(statistics, options);
    if (score > best_score) {
      best_score = score;
      best = std::move(statistics);
    }
  }
  return best;
}

std::vector<ChrfStatistics> AllChrfStatistics(std::span<const std::string> outputs, std::span<const std::vector<std::string>> references,
                                              const ChrfOptions& options) {
  CheckSegments("chrf", outputs, references);
  return EachSegment(outputs, references, [&options](std::string_view output, std::span<const std::string> of_segment) {
    return SegmentChrf(output, of_segment, options);
  });
}

double ScoreChrf(std::span<const ChrfCounts> statistics, const ChrfOptions& options) {
  constexpr double kEpsilon = 1e-16;
  const double factor = static_cast<double>(options.beta) * options.beta;
  double sum = 0, mean_precision = 0, mean_recall = 0;
  int effective_order = 0;
  for (const ChrfCounts& counts : statistics) {
    const auto matches = static_cast<double>(counts.matches);
    const double precision = counts.output > 0 ? matches / static_cast<double>(counts.output) : kEpsilon;
    const double recall = counts.reference > 0 ? matches / static_cast<double>(counts.reference) : kEpsilon;
    const double denominator = factor * precision + recall;
    sum += denominator > 0 ? (1 + factor) * precision * recall / denominator : kEpsilon;
    if (counts.output > 0 && counts.reference > 0) {
      mean_precision += precision;
      mean_recall += recall;
      ++effective_order;
    }
  }
  if (options.eps_smoothing) return 100 * sum / static_cast<double>(statistics.size());
  if (effective_order == 0 || mean_precision + mean_recall == 0) return 0;
  mean_precision /= effective_order;
  mean_recall /= effective_order;
  return 100 * (1 + factor) * mean_precision * mean_recall / (factor * mean_precision + mean_recall);
}

double CorpusChrf(std::span<const std::string> outputs, std::span<const std::vector<std::string>> references, const ChrfOptions& options) {
  ChrfStatistics sum;
  for (const ChrfStatistics& segment : AllChrfStatistics(outputs, references, options)) {
    sum.resize(segment.size());
    for (size_t n = 0; n < sum.size(); ++n) {
      sum[n].output += segment[n].output;
      sum[n].reference += segment[n].reference;
      sum[n].matches += segment[n].matches;
    }
  }
  return ScoreChrf(sum, options);
}

double SentenceChrf(std::string_view output, std::span<const std::string> references, const ChrfOptions& options) {
  return ScoreChrf(SegmentChrf(output, references, options), options);
}

std::string ChrfName(const ChrfOptions& options) {
  return "chrF" + std::to_string(options.beta) + std::string(static_cast<size_t>(options.word_order), '+');
}

std::string ChrfSignature(const ChrfOptions& options, int references) {
  return Signature(references, std::string("case:") + (options.lowercase ? "lc" : "mixed") + "|eff:" + YesNo(!options.eps_smoothing) +
                                   "|nc:" + std::to_string(options.character_order) + "|nw:" + std::to_string(options.word_order) +
                                   "|space:" + YesNo(options.whitespace));
}

Metric ChrfMetric(double score, const ChrfOptions& options, int references) {
  const MetricKind kind = options.word_order > 0 ? MetricKind::chrf_plus_plus : MetricKind::chrf;
  return {kind, ChrfName(options), score, ChrfSignature(options, references), ""};
}

}  // namespace attend::metrics
