#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace attend::report {

// What one layer looked at while one output was produced.
struct AttentionMap {
  std::string path;                        // the layer's path, e.g. "decoder.attention"
  std::string row_axis, column_axis;       // in words: "produces: target", "reads from: source"
  std::vector<std::string> rows, columns;  // tokens, in order; raw text, not escaped
  int64_t heads = 1;
  std::vector<float> weights;  // (heads, rows, columns); a row sums to 1, to 0 where nothing is visible, or to what its normaliser gives
};

struct AttentionExample {
  std::string title;
  std::vector<std::pair<std::string, std::string>> texts;  // label and raw text: {"source", ...}, {"output", ...}, {"reference", ...}
  std::vector<AttentionMap> maps;
};

struct AttentionReport {
  std::string title;  // of the page
  std::string model;  // what produced it, in one line
  std::vector<AttentionExample> examples;
};

// Throws UserError unless weights are (heads, rows, columns) finite numbers of at least 0; both shapes are named.
void Check(const AttentionMap& map);
void Check(const AttentionReport& report);

}  // namespace attend::report
