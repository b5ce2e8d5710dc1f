// report_driver KIND OUT: writes a page, picture or text with weights that page_test.py computes for itself.
//   weight(h, r, c) is proportional to exp(-((c - r + h) / 2)^2) + 0.05 / columns, plus 1 at c == 0 for odd heads; rows sum to 1.
//   kinds: small, hostile, medium (80 tokens), stress (4096 columns x 8 heads, 256 rows), square (4096 x 4096 x 8), svg, svg80, svg_rtl,
//   text, text80
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>

#include "attend/base/error.h"
#include "attend/report/html.h"
#include "attend/report/svg.h"
#include "attend/report/text.h"

namespace {

using namespace attend::report;

AttentionMap MakeMap(const std::string& path, std::vector<std::string> rows, std::vector<std::string> columns, int64_t heads) {
  AttentionMap map{path, "produces: target", "reads from: source", std::move(rows), std::move(columns), heads, {}};
  map.weights.reserve(map.rows.size() * map.columns.size() * static_cast<size_t>(heads));
  std::vector<double> row(map.columns.size());
  for (int64_t h = 0; h < heads; ++h) {
    for (size_t r = 0; r < map.rows.size(); ++r) {
      double sum = 0;
      for (size_t c = 0; c < row.size(); ++c) {
        const double d = (static_cast<double>(c) - static_cast<double>(r) + static_cast<double>(h)) / 2;
        row[c] = std::exp(-d * d) + 0.05 / static_cast<double>(row.size()) + (h % 2 == 1 && c == 0 ? 1 : 0);
        sum += row[c];
      }
      for (const double w : row) map.weights.push_back(static_cast<float>(w / sum));
    }
  }
  return map;
}

std::vector<std::string> Numbered(const std::string& stem, size_t count) {
  std::vector<std::string> out;
  for (size_t i = 0; i < count; ++i) out.push_back(stem + std::to_string(i + 1));
  return out;
}

// `count` tokens of different lengths, made of syllables.
std::vector<std::string> Words(size_t count, const std::vector<std::string>& syllables, size_t step) {
  std::vector<std::string> out;
  for (size_t i = 0; i + 2 < count; ++i) {
    std::string word = i % 3 == 1 ? "" : "▁";
    for (size_t k = 0; k <= (i * step) % 4; ++k) word += syllables[(i * step + k * 5) % syllables.size()];
    out.push_back(word);
  }
  out.push_back(".");
  out.push_back("</s>");
  return out;
}

AttentionReport Make(const std::string& kind) {
  AttentionReport report{"What the translator reads", "de-en, conditional GRU, additive attention, BPE 8000", {}};
  const std::vector<std::string> house = {"▁the", "▁small", "▁house", ".", "</s>"}, haus = {"▁das", "▁kleine", "▁Haus", ".", "</s>"};
  if (kind == "small") {
    report.examples.push_back({"the small house",
                               {{"source", "das kleine Haus."}, {"output", "the small house."}},
                               {MakeMap("decoder.attention", house, haus, 1), MakeMap("decoder.layers.0.cross", house, haus, 8)}});
    report.examples.push_back(
        {"one word", {{"source", "ja"}, {"output", "yes"}}, {MakeMap("decoder.attention", {"▁yes", "</s>"}, {"▁ja", "</s>"}, 1)}});
  } else if (kind == "hostile") {
    const std::vector<std::string> rows = {
        "</script>", "<!--", "\"'&", "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb", "\xe4\xbd", " the\n", "<img src=x onerror=alert(1)>"};
    const std::vector<std::string> columns = {"שלום",
                                              "עולם",
                                              "הבית",
                                              "הקטן",
                                              "\xa0",
                                              "\xe2\x80\xae"
                                              "abc",
                                              "</s>"};
    report.title = "</title><script>alert(1)</script>";
    report.examples.push_back({"</script><b>",
                               {{"source", "שלום </script> עולם"}, {"output", "<!-- <script> \xff"}},
                               {MakeMap("decoder.<attention>", rows, columns, 2)}});
  } else if (kind == "medium") {
    const auto source = Words(80, {"ver", "stand", "en", "Haus", "ge", "ung", "ß", "lich", "keit", "am"}, 3);
    const auto target = Words(80, {"un", "der", "stand", "ing", "house", "ly", "re", "ad", "a", "to"}, 7);
    report.examples.push_back({"eighty tokens",
                               {{"source", "…"}, {"output", "…"}},
                               {MakeMap("decoder.attention", target, source, 1), MakeMap("decoder.layers.0.cross", target, source, 8)}});
  } else if (kind == "stress" || kind == "square") {
    report.examples.push_back(
        {"long", {}, {MakeMap("encoder.layers.0.self", Numbered("t", kind == "square" ? 4096 : 256), Numbered("s", 4096), 8)}});
  } else {
    throw attend::UserError("report_driver", "a kind of page", kind);
  }
  return report;
}

std::string Render(const std::string& kind) {
  if (kind == "svg") return RenderSvg(Make("small").examples[0].maps[0]);
  if (kind == "svg80") return RenderSvg(Make("medium").examples[0].maps[1]);
  if (kind == "svg_rtl") return RenderSvg(Make("hostile").examples[0].maps[0]);
  if (kind == "text") return RenderText(Make("small"));
  if (kind == "text80") return RenderText(Make("medium"), {.colour = true});
  return RenderHtml(Make(kind));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: report_driver KIND OUT\n";
    return 2;
  }
  try {
    std::ofstream(argv[2], std::ios::binary) << Render(argv[1]);
  } catch (const attend::Error& e) {
    std::cerr << e.what() << "\n";
    return e.status();
  }
  return 0;
}
