#include "attend/metrics/metric.h"

#include <charconv>
#include <cmath>
#include <cstdio>

namespace attend::metrics {
namespace {

constexpr Choice kKinds[] = {
    {"perplexity", static_cast<int>(MetricKind::perplexity), "exp of the mean negative log-likelihood of a reference token"},
    {"bleu", static_cast<int>(MetricKind::bleu), "corpus BLEU, equal to sacreBLEU's (Papineni et al. 2002; Post 2018)"},
    {"chrf", static_cast<int>(MetricKind::chrf), "character n-gram F score, equal to sacreBLEU's (Popović 2015)"},
    {"chrf++", static_cast<int>(MetricKind::chrf_plus_plus), "chrF with word bigrams, equal to sacreBLEU's (Popović 2017)"},
    {"accuracy", static_cast<int>(MetricKind::accuracy), "share of outputs that equal their reference exactly"},
    {"alignment_error_rate", static_cast<int>(MetricKind::alignment_error_rate), "AER against gold links (Och & Ney 2003)"},
    {"bits_per_character", static_cast<int>(MetricKind::bits_per_character),
     "negative log-likelihood of a text in bits, by its characters"},
};

bool InPercent(MetricKind kind) { return kind == MetricKind::bleu || kind == MetricKind::chrf || kind == MetricKind::chrf_plus_plus; }

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string Number(double value) {
  if (!std::isfinite(value)) return "null";
  char digits[32];
  return std::string(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

}  // namespace

std::span<const Choice> Choices(MetricKind) { return kKinds; }

bool HigherIsBetter(MetricKind kind) {
  return kind != MetricKind::perplexity && kind != MetricKind::alignment_error_rate && kind != MetricKind::bits_per_character;
}

std::string Line(const Metric& metric) {
  char value[400];  // the longest double in fixed notation has 309 digits before the point
  std::snprintf(value, sizeof value, "%.*f", InPercent(metric.kind) ? 2 : 4, metric.value);
  std::string out = metric.name;
  if (!metric.signature.empty()) out += "|" + metric.signature;
  out += " = ";
  out += value;
  if (!metric.details.empty()) out += " " + metric.details;
  return out;
}

std::string Json(const Metric& metric) {
  std::string out =
      "{\"metric\": " + Quoted(Name(metric.kind)) + ", \"name\": " + Quoted(metric.name) + ", \"value\": " + Number(metric.value);
  if (!metric.signature.empty()) out += ", \"signature\": " + Quoted(metric.signature);
  if (!metric.details.empty()) out += ", \"details\": " + Quoted(metric.details);
  return out + "}";
}

std::string Json(std::span<const Metric> metrics) {
  std::string out = "[";
  for (const Metric& metric : metrics) out += (out.size() > 1 ? ", " : "") + Json(metric);
  return out + "]";
}

}  // namespace attend::metrics
