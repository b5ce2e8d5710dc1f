#include "attend/metrics/alignment_error.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdio>

namespace attend::metrics {
namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f'; }

[[noreturn]] void Refuse(std::string_view word, int64_t line) {
  constexpr size_t kShown = 40;
  std::string shown;
  for (const char c : word.substr(0, kShown)) shown += c > 0x20 && c < 0x7F ? c : '?';
  if (word.size() > kShown) shown += "…";
  throw UserError("alignment", "links i-j (sure), i?j or ipj (possible), words counted from 0",
                  "\"" + shown + "\" in line " + std::to_string(line));
}

void SortOnce(std::vector<Link>* links) {
  std::sort(links->begin(), links->end());
  links->erase(std::unique(links->begin(), links->end()), links->end());
}

int64_t CountCommon(const std::vector<Link>& a, const std::vector<Link>& b) {
  return std::count_if(a.begin(), a.end(), [&b](const Link& link) { return std::binary_search(b.begin(), b.end(), link); });
}

double Ratio(int64_t part, int64_t whole) { return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 1; }

}  // namespace

Links ParseLinks(std::string_view text, int64_t line) {
  Links out;
  size_t i = 0;
  while (i < text.size()) {
    if (IsBlank(text[i])) {
      ++i;
      continue;
    }
    const size_t begin = i;
    while (i < text.size() && !IsBlank(text[i])) ++i;
    const std::string_view word = text.substr(begin, i - begin);
    const char* const end = word.data() + word.size();
    Link link;
    // from_chars takes a minus sign: a number must begin with a digit.
    const auto number = [&](const char* at, int32_t* value) {
      if (at == end || *at < '0' || *at > '9') Refuse(word, line);
      const auto [rest, error] = std::from_chars(at, end, *value);
      if (error != std::errc()) Refuse(word, line);
      return rest;
    };
    const char* const mark = number(word.data(), &link.source);
    if (mark == end || (*mark != '-' && *mark != '?' && *mark != 'p')) Refuse(word, line);
    if (number(mark + 1, &link.target) != end) Refuse(word, line);
    if (*mark == '-') out.sure.push_back(link);
    out.possible.push_back(link);
  }
  SortOnce(&out.sure);
  SortOnce(&out.possible);
  return out;
}

std::string FormatLinks(std::span<const Link> links) {
  std::string out;
  for (const Link& link : links) out += (out.empty() ? "" : " ") + std::to_string(link.source) + "-" + std::to_string(link.target);
  return out;
}

AlignmentCounts& AlignmentCounts::operator+=(const AlignmentCounts& other) {
  output += other.output;
  sure += other.sure;
  output_and_sure += other.output_and_sure;
  output_and_possible += other.output_and_possible;
  return *this;
}

AlignmentCounts CompareLinks(const Links& output, const Links& gold) {
  return {static_cast<int64_t>(output.possible.size()), static_cast<int64_t>(gold.sure.size()), CountCommon(output.possible, gold.sure),
          CountCommon(output.possible, gold.possible)};
}

AlignmentCounts CompareLinks(std::span<const std::string> outputs, std::span<const std::string> golds) {
  if (outputs.size() != golds.size())
    throw UserError("alignment", "as many lines of gold links as of output links",
                    std::to_string(outputs.size()) + " lines of output and " + std::to_string(golds.size()) + " of gold links");
  if (outputs.empty()) throw UserError("alignment", "at least one line of links", "none");
  AlignmentCounts sum;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto line = static_cast<int64_t>(i) + 1;
    sum += CompareLinks(ParseLinks(outputs[i], line), ParseLinks(golds[i], line));
  }
  return sum;
}

double AlignmentErrorRate(const AlignmentCounts& counts) {
  return 1 - Ratio(counts.output_and_sure + counts.output_and_possible, counts.output + counts.sure);
}

double AlignmentPrecision(const AlignmentCounts& counts) { return Ratio(counts.output_and_possible, counts.output); }

double AlignmentRecall(const AlignmentCounts& counts) { return Ratio(counts.output_and_sure, counts.sure); }

Metric AlignmentMetric(const AlignmentCounts& counts) {
  char details[160];
  std::snprintf(details, sizeof details, "(precision = %.4f recall = %.4f links = %lld sure = %lld)", AlignmentPrecision(counts),
                AlignmentRecall(counts), static_cast<long long>(counts.output), static_cast<long long>(counts.sure));
  return {MetricKind::alignment_error_rate, "alignment error rate", AlignmentErrorRate(counts), "", details};
}

}  // namespace attend::metrics
