#include "attend/report/svg.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "attend/base/error.h"
#include "attend/report/colour.h"
#include "attend/report/token.h"

namespace attend::report {
namespace {

constexpr size_t kMostCells = 250000;
constexpr double kTilt = 60;       // degrees by which column labels rise
constexpr int kLongestLabel = 24;  // columns of a terminal; longer tokens are cut, their full text in the label's title

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  std::string out = text;
  if (out.ends_with(".0")) out.resize(out.size() - 2);
  return out;
}

std::string Attribute(std::string_view name, double value) { return " " + std::string(name) + "=\"" + Number(value) + "\""; }

// A text element; `more` are further attributes.
std::string Text(double x, double y, std::string_view text, const std::string& more) {
  return "<text" + Attribute("x", x) + Attribute("y", y) + more + ">" + EscapeMarkup(text) + "</text>\n";
}

// A token's label, with its direction; the anchor names the side of the token that stands at (x, y).
std::string Label(double x, double y, const std::string& token, bool anchor_right, const std::string& more) {
  const std::string visible = VisibleToken(token);
  const std::string shown = FitWidth(visible, kLongestLabel, "…");
  const bool rtl = StartsRightToLeft(visible);
  // text-anchor counts along the text's own direction.
  std::string out = "<text" + Attribute("x", x) + Attribute("y", y) + (rtl ? " direction=\"rtl\"" : " direction=\"ltr\"") +
                    " unicode-bidi=\"isolate\" text-anchor=\"" + (anchor_right != rtl ? "end" : "start") + "\"" + more + ">";
  if (shown != visible) out += "<title>" + EscapeMarkup(visible) + "</title>";
  return out + EscapeMarkup(shown) + "</text>\n";
}

// In columns of a terminal, the widest label.
int Widest(const std::vector<std::string>& tokens) {
  int widest = 0;
  for (const std::string& token : tokens) widest = std::max(widest, DisplayWidth(FitWidth(VisibleToken(token), kLongestLabel, "…")));
  return widest;
}

struct Layout {
  double cell, font, left, top, width, height;
  double spill;  // of tilted labels beyond the last column
};

Layout Place(const AttentionMap& map) {
  Layout at;
  const size_t most = std::max(map.rows.size(), map.columns.size());
  at.cell = most <= 8 ? 44 : most <= 14 ? 36 : most <= 24 ? 28 : most <= 40 ? 20 : 15;
  at.font = std::min(14.0, std::max(10.5, at.cell * 0.5));
  const double letter = at.font * 0.62;
  const double rise = Widest(map.columns) * letter + 4;
  const double radians = kTilt * std::acos(-1.0) / 180;
  at.left = 34 + std::max(Widest(map.rows) * letter, 20.0) + 8;
  at.top = 62 + rise * std::sin(radians) + at.font;
  at.spill = rise * std::cos(radians) + 12;
  at.width = std::max(at.left + static_cast<double>(map.columns.size()) * at.cell + at.spill, 420.0);
  at.height = at.top + static_cast<double>(map.rows.size()) * at.cell + 52;
  return at;
}

std::string Cells(const AttentionMap& map, const std::vector<float>& weights, const Layout& at, bool per_row_maximum, bool flip) {
  const size_t rows = map.rows.size(), columns = map.columns.size();
  std::string out, numbers;
  for (size_t r = 0; r < rows; ++r) {
    const float* row = weights.data() + r * columns;
    const float largest = columns == 0 ? 0 : *std::max_element(row, row + columns);
    for (size_t c = 0; c < columns; ++c) {
      const double share = !per_row_maximum ? row[c] : largest > 0 ? row[c] / largest : 0;
      const Rgb colour = ColourAt(LightRamp(), share);
      const double x = at.left + static_cast<double>(flip ? columns - 1 - c : c) * at.cell, y = at.top + static_cast<double>(r) * at.cell;
      if (Hex(colour) != Hex(LightRamp().front())) {
        out += "<rect" + Attribute("x", x + 0.5) + Attribute("y", y + 0.5) + Attribute("width", at.cell - 1) +
               Attribute("height", at.cell - 1) + " fill=\"" + Hex(colour) + "\"/>\n";
      }
      if (at.cell >= 28 && row[c] >= 0.005) {
        char value[16];
        std::snprintf(value, sizeof value, "%.2f", static_cast<double>(row[c]));
        const std::string digits = value[0] == '0' ? value + 1 : value;  // .91
        numbers += Text(x + at.cell / 2, y + at.cell / 2 + 3.5, digits,
                        std::string(" fill=\"") + (Luminance(colour) > 0.18 ? "#000" : "#fff") + "\"");
      }
    }
  }
  if (!numbers.empty()) out += "<g font-size=\"10\" text-anchor=\"middle\">\n" + numbers + "</g>\n";
  return out;
}

std::string Legend(double x, double y, bool per_row_maximum) {
  constexpr double kWidth = 200;
  std::string out = "<linearGradient id=\"attend-ramp\">";
  const double last = static_cast<double>(LightRamp().size() - 1);
  for (size_t i = 0; i < LightRamp().size(); ++i) {
    out += "<stop offset=\"" + Number(100 * static_cast<double>(i) / last) + "%\" stop-color=\"" + Hex(LightRamp()[i]) + "\"/>";
  }
  out += "</linearGradient>\n<rect" + Attribute("x", x) + Attribute("y", y) + Attribute("width", kWidth) +
         " height=\"10\" fill=\"url(#attend-ramp)\" stroke=\"#999\" stroke-width=\"0.5\"/>\n";
  for (const double tick : {0.0, 0.5, 1.0})
    out += Text(x + tick * kWidth, y + 22, Number(tick), " font-size=\"10\" text-anchor=\"middle\"");
  return out + Text(x + kWidth + 12, y + 9, per_row_maximum ? "share of the row's maximum" : "weight", " font-size=\"11\"");
}

}  // namespace

std::string RenderSvg(const AttentionMap& map, const SvgOptions& options) {
  Check(map);
  const size_t rows = map.rows.size(), columns = map.columns.size();
  if (columns > 0 && rows > kMostCells / columns) {
    throw UserError("report " + map.path, "at most " + std::to_string(kMostCells) + " cells in an SVG picture",
                    std::to_string(rows) + " x " + std::to_string(columns) + " (the HTML page shows maps of any size)");
  }
  const std::vector<float> weights = CombineHeads(map, options.head);
  const bool flip = IsRightToLeft(map.columns);
  const Layout at = Place(map);
  const std::string heads = HeadName(map, options.head);
  const std::string title = VisibleText(!options.title.empty() ? options.title : heads.empty() ? map.path : map.path + ", " + heads);
  const double across = static_cast<double>(columns) * at.cell, down = static_cast<double>(rows) * at.cell;

  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\"" + Attribute("width", at.width) + Attribute("height", at.height) +
                    " viewBox=\"0 0 " + Number(at.width) + " " + Number(at.height) +
                    "\" role=\"img\" font-family=\"system-ui, 'Noto Sans', 'DejaVu Sans', sans-serif\" fill=\"#1b1f24\">\n";
  out += "<title>" + EscapeMarkup(title) + "</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
  out += Text(12, 22, title, " font-size=\"14\" font-weight=\"600\"");
  const std::string axis = " font-size=\"12\" fill=\"#57606a\"";
  const std::string column_axis = VisibleText(map.column_axis), row_axis = VisibleText(map.row_axis);
  out += Text(at.left, 44, flip ? "← " + column_axis : column_axis + " →", axis);
  out += Text(0, 0, "← " + row_axis, axis + " text-anchor=\"end\" transform=\"translate(20 " + Number(at.top) + ") rotate(-90)\"");
  out += "<g" + Attribute("font-size", at.font) + ">\n";
  for (size_t c = 0; c < columns; ++c) {
    const double x = at.left + (static_cast<double>(flip ? columns - 1 - c : c) + 0.5) * at.cell + at.font * 0.3;
    out += Label(0, 0, map.columns[c], false,
                 " transform=\"translate(" + Number(x) + " " + Number(at.top - 6) + ") rotate(-" + Number(kTilt) + ")\"");
  }
  for (size_t r = 0; r < rows; ++r) {
    out += Label(at.left - 7, at.top + (static_cast<double>(r) + 0.5) * at.cell + at.font * 0.35, map.rows[r], true, "");
  }
  out += "</g>\n<rect" + Attribute("x", at.left) + Attribute("y", at.top) + Attribute("width", across) + Attribute("height", down) +
         " fill=\"#fff\" stroke=\"#d0d7de\"/>\n";
  out += Cells(map, weights, at, options.per_row_maximum, flip);
  out += Legend(at.left, at.top + down + 16, options.per_row_maximum);
  return out + "</svg>\n";
}

}  // namespace attend::report
