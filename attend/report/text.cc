#include "attend/report/text.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <cstdlib>

#include "attend/base/error.h"
#include "attend/report/colour.h"
#include "attend/report/token.h"

namespace attend::report {
namespace {

constexpr int kLongestRowLabel = 16;
constexpr size_t kTallestColumnLabel = 10;  // graphemes
constexpr int kCellWidth = 2;
constexpr int kBestToken = 14;                      // columns of the best token
constexpr int kBestWidth = 2 + 5 + 1 + kBestToken;  // "  0.912 house"

class Painter {
 public:
  explicit Painter(const TextOptions& options) : options_(options) {}

  std::string Cell(double weight) const {
    if (options_.colour) {
      return "\x1b[48;5;" + std::to_string(Ansi256(ColourAt(DarkRamp(), weight))) + "m" + std::string(kCellWidth, ' ') + "\x1b[0m";
    }
    std::string out;
    for (int i = 0; i < kCellWidth; ++i) out += Levels()[Level(weight)];
    return out;
  }

  std::string Legend() const {
    std::string out = "weight";
    const char* const numbers[] = {"0", ".25", ".5", ".75", "1"};
    for (int i = 0; i < 5; ++i) out += std::string(" ") + numbers[i] + " " + Cell(i / 4.0);
    return out + "\n";
  }

  std::string_view Ellipsis() const { return options_.unicode ? "…" : "~"; }
  std::string_view Dash() const { return options_.unicode ? "–" : "-"; }

 private:
  // Five levels; the lowest is a dot, so that the grid stays readable without colour.
  const std::array<const char*, 5>& Levels() const {
    static constexpr std::array<const char*, 5> kBlocks = {"·", "░", "▒", "▓", "█"}, kAscii = {".", "-", "+", "#", "@"};
    return options_.unicode ? kBlocks : kAscii;
  }
  static size_t Level(double weight) { return std::min<size_t>(static_cast<size_t>(std::max(weight, 0.0) * 4 + 0.5), 4); }

  const TextOptions& options_;
};

std::string Spaces(int count) { return std::string(static_cast<size_t>(std::max(count, 0)), ' '); }

std::string PadLeft(const std::string& text, int width) { return Spaces(width - DisplayWidth(text)) + text; }

std::string TrimEnd(std::string line) {
  line.resize(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

// The labels of columns [begin, end), written downwards and resting on the map.
std::string ColumnLabels(const std::vector<std::string>& tokens, size_t begin, size_t end, int indent, std::string_view ellipsis) {
  std::vector<std::vector<std::string>> labels;
  size_t tallest = 0;
  for (size_t c = begin; c < end; ++c) {
    labels.push_back(Graphemes(VisibleToken(tokens[c])));
    if (labels.back().size() > kTallestColumnLabel) {
      labels.back().resize(kTallestColumnLabel - 1);
      labels.back().emplace_back(ellipsis);
    }
    tallest = std::max(tallest, labels.back().size());
  }
  std::string out;
  for (size_t line = 0; line < tallest; ++line) {
    std::string text = Spaces(indent);
    for (const auto& label : labels) {
      const size_t above = tallest - label.size();
      const std::string grapheme = line < above ? "" : label[line - above];
      text += grapheme + Spaces(kCellWidth - DisplayWidth(grapheme));
    }
    out += TrimEnd(text);
  }
  return out;
}

std::string Best(const AttentionMap& map, const float* row, const Painter& paint) {
  if (map.columns.empty()) return "";
  const float* best = std::max_element(row, row + map.columns.size());
  if (!(*best > 0)) return "";
  char weight[16];
  std::snprintf(weight, sizeof weight, "  %.3f ", static_cast<double>(*best));
  return weight + FitWidth(VisibleToken(map.columns[static_cast<size_t>(best - row)]), kBestToken, paint.Ellipsis());
}

void AppendMap(std::string& out, const AttentionMap& map, const TextOptions& options) {
  Check(map);
  const std::vector<float> weights = CombineHeads(map, options.head);
  const Painter paint(options);
  const std::string heads = HeadName(map, options.head);
  out += VisibleText(map.path) + (heads.empty() ? "" : ", " + heads) + "\n";
  out += "rows " + VisibleText(map.row_axis) + "; columns " + VisibleText(map.column_axis) + "; right: heaviest of the row\n";

  int label = 0;
  std::vector<std::string> rows;
  for (const std::string& token : map.rows) {
    rows.push_back(FitWidth(VisibleToken(token), kLongestRowLabel, paint.Ellipsis()));
    label = std::max(label, DisplayWidth(rows.back()));
  }
  const size_t columns = map.columns.size();
  const auto per_page = static_cast<size_t>(std::max(1, (options.width - label - 1 - kBestWidth) / kCellWidth));
  for (size_t begin = 0; begin < std::max<size_t>(columns, 1); begin += per_page) {
    const size_t end = std::min(columns, begin + per_page);
    if (columns > per_page) {
      out += "columns " + std::to_string(begin + 1) + std::string(paint.Dash()) + std::to_string(end) + " of " + std::to_string(columns) +
             "\n";
    }
    out += ColumnLabels(map.columns, begin, end, label + 1, paint.Ellipsis());
    for (size_t r = 0; r < rows.size(); ++r) {
      out += PadLeft(rows[r], label) + " ";
      for (size_t c = begin; c < end; ++c) out += paint.Cell(weights[r * columns + c]);
      out += Best(map, weights.data() + r * columns, paint) + "\n";
    }
  }
  out += paint.Legend();
}

void CheckWidth(const TextOptions& options) {
  if (options.width < 40) throw UserError("report text", "a width of at least 40 columns", std::to_string(options.width));
}

}  // namespace

TextOptions TextOptionsFor(int file_descriptor) {
  TextOptions options;
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  if (isatty(file_descriptor)) {
    winsize size{};
    if (ioctl(file_descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40) options.width = size.ws_col;
    options.colour = variable("NO_COLOR").empty() && variable("TERM") != "dumb";
  }
  std::string locale = variable("LC_ALL");
  if (locale.empty()) locale = variable("LC_CTYPE");
  if (locale.empty()) locale = variable("LANG");
  for (char& c : locale) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  options.unicode = locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
  return options;
}

std::string RenderText(const AttentionMap& map, const TextOptions& options) {
  CheckWidth(options);
  std::string out;
  AppendMap(out, map, options);
  return out;
}

std::string RenderText(const AttentionReport& report, const TextOptions& options) {
  CheckWidth(options);
  std::string out;
  for (const AttentionExample& example : report.examples) {
    if (!out.empty()) out += "\n";
    out += VisibleText(example.title) + "\n";
    size_t label = 0;
    for (const auto& [name, text] : example.texts) label = std::max(label, name.size());
    for (const auto& [name, text] : example.texts)
      out += "  " + VisibleText(name) + std::string(label - name.size() + 2, ' ') + VisibleText(text) + "\n";
    for (const AttentionMap& map : example.maps) {
      out += "\n";
      AppendMap(out, map, options);
    }
  }
  return out;
}

}  // namespace attend::report
