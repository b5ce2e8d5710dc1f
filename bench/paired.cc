// Compares translations of the same lines by paired randomisation of corpus BLEU (metrics/significance.h): what bench/quality scripts call.
//
//   paired statistics REFERENCE OUTPUT                        prints what each line adds to BLEU, as a JSON list of rows: the output's and
//                                                             the reference's words, the matching n-grams, all n-grams (n = 1 to 4)
//   paired compare RUN[,RUN...] RUN[,RUN...]                  prints score, p and interval; a RUN is a JSON file whose "lines" are such
//   rows
// Several runs of one side are those of several training runs: a line's statistics are their sum, and lines are swapped for all runs at
// once.
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "attend/metrics/bleu.h"
#include "attend/metrics/significance.h"

namespace {

using namespace attend;
using namespace attend::metrics;

constexpr const char* kUsage = "statistics REFERENCE OUTPUT, or compare RUN[,RUN...] RUN[,RUN...]";

std::ifstream Open(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw UserError("paired", "a file", path);
  return file;
}

std::vector<std::string> Lines(const std::string& path) {
  std::ifstream file = Open(path);
  std::vector<std::string> out;
  for (std::string line; std::getline(file, line);) out.push_back(line);
  return out;
}

nlohmann::json Row(const BleuStatistics& s) {
  nlohmann::json row = {s.system_length, s.reference_length};
  for (const int64_t count : s.counts) row.push_back(count);
  for (const int64_t total : s.totals) row.push_back(total);
  return row;
}

BleuStatistics FromRow(const nlohmann::json& row) {
  BleuStatistics s;
  s.system_length = row.at(0);
  s.reference_length = row.at(1);
  for (size_t n = 0; n < kBleuOrder; n++) {
    s.counts[n] = row.at(2 + n);
    s.totals[n] = row.at(2 + kBleuOrder + n);
  }
  return s;
}

std::vector<BleuStatistics> Sum(const std::string& paths) {
  std::vector<BleuStatistics> sum;
  std::istringstream list(paths);
  for (std::string path; std::getline(list, path, ',');) {
    std::ifstream file = Open(path);
    const nlohmann::json rows = nlohmann::json::parse(file).at("lines");
    if (sum.empty()) sum.resize(rows.size());
    if (rows.size() != sum.size())
      throw UserError("paired", std::to_string(sum.size()) + " lines", path + " with " + std::to_string(rows.size()));
    for (size_t i = 0; i < sum.size(); i++) sum[i] += FromRow(rows[i]);
  }
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string command = argc == 4 ? argv[1] : "";
    if (command == "statistics") {
      const std::vector<std::vector<std::string>> references = {Lines(argv[2])};
      nlohmann::json rows = nlohmann::json::array();
      for (const BleuStatistics& s : AllBleuStatistics(Lines(argv[3]), references, {})) rows.push_back(Row(s));
      std::cout << rows << "\n";
    } else if (command == "compare") {
      const PairedTest test = ComparePaired<BleuStatistics>(
          Sum(argv[2]), Sum(argv[3]), [](const BleuStatistics& s) { return ScoreBleu(s, {}).score; }, 10000, 1);
      std::cout << nlohmann::json{{"first", test.first}, {"second", test.second}, {"p", test.p}, {"low", test.low}, {"high", test.high}}
                << "\n";
    } else {
      throw UserError("paired", kUsage, std::to_string(argc - 1) + " words" + (argc > 1 ? ", the first " + std::string(argv[1]) : ""));
    }
  } catch (const std::exception& error) {
    std::cerr << "paired: " << error.what() << "\n";
    return 2;
  }
}
