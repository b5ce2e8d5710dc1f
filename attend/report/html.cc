#include "attend/report/html.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "attend/base/error.h"
#include "attend/report/colour.h"
#include "attend/report/embedded.h"
#include "attend/report/heads.h"
#include "attend/report/json.h"
#include "attend/report/pack.h"
#include "attend/report/token.h"

namespace attend::report {
namespace {

constexpr size_t kOverviewSide = 256;  // cells of an overview, per axis

int64_t CountWeights(const AttentionReport& report) {
  int64_t count = 0;
  for (const AttentionExample& example : report.examples)
    for (const AttentionMap& map : example.maps) count += static_cast<int64_t>(map.weights.size());
  return count;
}

// "rows": the raw tokens; "rows_shown": {"3": "␣the"}, those that are shown otherwise; "rows_rtl".
void AppendAxis(std::string& out, const std::string& name, const std::vector<std::string>& tokens) {
  out += ",\"" + name + "\":";
  AppendJsonStrings(out, tokens);
  out += ",\"" + name + "_shown\":{";
  bool first = true;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string shown = VisibleToken(tokens[i]);
    if (shown == tokens[i]) continue;
    out += (first ? "\"" : ",\"") + std::to_string(i) + "\":";
    AppendJsonString(out, shown);
    first = false;
  }
  out += "},\"" + name + "_rtl\":" + (IsRightToLeft(tokens) ? "true" : "false");
}

void AppendRamp(std::string& out, const std::vector<Rgb>& ramp) {
  std::vector<std::string> colours;
  for (const Rgb& colour : ramp) colours.push_back(Hex(colour));
  AppendJsonStrings(out, colours);
}

// The mean of the heads in at most 256 x 256 cells, each the maximum of what it covers, as bytes: shown until the weights of a large map
// have been read. A maximum, not a mean: single strong links must not vanish.
std::string Overview(const AttentionMap& map) {
  const size_t rows = map.rows.size(), columns = map.columns.size();
  const size_t high = std::min(rows, kOverviewSide), wide = std::min(columns, kOverviewSide);
  const std::vector<float> mean = CombineHeads(map, kMeanOfHeads);
  std::vector<unsigned char> out(high * wide);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < columns; ++c) {
      unsigned char& cell = out[r * high / rows * wide + c * wide / columns];
      const float weight = std::min(mean[r * columns + c], 1.0f);
      cell = std::max(cell, static_cast<unsigned char>(std::lround(255 * weight)));
    }
  }
  return ",\"overview\":{\"rows\":" + std::to_string(high) + ",\"columns\":" + std::to_string(wide) + ",\"base64\":\"" + Base64(out) +
         "\"}";
}

// Appends the map's description to `data` and its weights to `blobs`, one element a head, which the page decodes when it is looked at.
// Returns the error of packing.
double AppendMap(std::string& data, std::string& blobs, const AttentionMap& map, const std::string& id, Packing packing) {
  data += '{';
  AppendJsonField(data, "path", map.path);
  data += ',';
  AppendJsonField(data, "row_axis", map.row_axis);
  data += ',';
  AppendJsonField(data, "column_axis", map.column_axis);
  AppendAxis(data, "rows", map.rows);
  AppendAxis(data, "columns", map.columns);
  data += ",\"heads\":" + std::to_string(map.heads);
  const size_t cells = map.rows.size() * map.columns.size();
  if (cells > kOverviewSide * kOverviewSide) data += Overview(map);
  data += '}';
  double error = 0;
  for (size_t h = 0; h < static_cast<size_t>(map.heads); ++h) {
    const PackedHead head = PackHead(std::span(map.weights).subspan(h * cells, cells), map.rows.size(), map.columns.size(), packing);
    error = std::max(error, head.error);
    blobs += "<script type=\"text/plain\" id=\"" + id + "-" + std::to_string(h) + "\">" + head.base64 + "</script>\n";
  }
  return error;
}

// `page` with each {{name}} replaced by what `value` gives for it; nothing that was put in is looked at again.
template <class Value>
std::string Fill(std::string_view page, const Value& value) {
  std::string out;
  while (true) {
    const size_t open = page.find("{{");
    out += page.substr(0, open);
    if (open == std::string_view::npos) return out;
    const size_t close = page.find("}}", open);
    out += value(page.substr(open + 2, close - open - 2));
    page.remove_prefix(close + 2);
  }
}

}  // namespace

std::string RenderHtml(const AttentionReport& report, const HtmlOptions& options) {
  Check(report);
  const int64_t count = CountWeights(report);
  if (count > options.most_weights) {
    throw UserError("report", "at most " + std::to_string(options.most_weights) + " weights in one page",
                    std::to_string(count) + " (show fewer examples or shorter ones)");
  }
  const Packing packing = count <= options.exact_weights ? Packing::kFloat32 : Packing::kSqrt8;

  std::string blobs, examples;
  double error = 0;
  for (size_t e = 0; e < report.examples.size(); ++e) {
    const AttentionExample& example = report.examples[e];
    examples += e == 0 ? "{" : ",\n{";
    AppendJsonField(examples, "title", example.title);
    examples += ",\"texts\":[";
    for (size_t t = 0; t < example.texts.size(); ++t) {
      if (t > 0) examples += ',';
      AppendJsonStrings(examples, {example.texts[t].first, VisibleText(example.texts[t].second)});
    }
    examples += "],\"maps\":[";
    for (size_t m = 0; m < example.maps.size(); ++m) {
      if (m > 0) examples += ',';
      error = std::max(error, AppendMap(examples, blobs, example.maps[m], "w-" + std::to_string(e) + "-" + std::to_string(m), packing));
    }
    examples += "]}";
  }

  char number[32];
  std::snprintf(number, sizeof number, "%.3g", error);
  std::string data = "{";
  AppendJsonField(data, "title", report.title);
  data += ',';
  AppendJsonField(data, "model", report.model);
  data += std::string(",\"packing\":\"") + (packing == Packing::kFloat32 ? "float32" : "sqrt8") + "\",\"error\":" + number +
          ",\"ramps\":{\"light\":";
  AppendRamp(data, LightRamp());
  data += ",\"dark\":";
  AppendRamp(data, DarkRamp());
  data += "},\n\"examples\":[" + examples + "]}";

  return Fill(embedded::page_html, [&](std::string_view name) -> std::string {
    if (name == "title") return EscapeMarkup(VisibleText(report.title));
    if (name == "style") return std::string(embedded::page_css);
    if (name == "data") return std::move(data);
    if (name == "weights") return std::move(blobs);
    std::string script;
    for (const std::string_view part : {embedded::page_weights_js, embedded::page_draw_js, embedded::page_save_js, embedded::page_js})
      script += part;
    return script;
  });
}

}  // namespace attend::report
