// Compares translations of the same lines by paired randomisation of corpus BLEU (metrics/significance.h): what bench/quality scripts call.
//
//   paired REFERENCE OUTPUT[,OUTPUT...] OUTPUT[,OUTPUT...]
// Several outputs of one side are those of several training runs: a line's statistics are their sum, and lines are swapped for all runs at
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

std::vector<std::string> Lines(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw UserError("paired", "a text file", path);
  std::vector<std::string> out;
  for (std::string line; std::getline(file, line);) out.push_back(line);
  return out;
}

std::vector<BleuStatistics> Statistics(const std::string& paths, const std::vector<std::string>& reference) {
  std::vector<BleuStatistics> sum(reference.size());
  std::istringstream list(paths);
  const std::vector<std::vector<std::string>> references = {reference};
  for (std::string path; std::getline(list, path, ',');) {
    const auto one = AllBleuStatistics(Lines(path), references, {});
    for (size_t i = 0; i < sum.size(); i++) sum[i] += one[i];
  }
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 4) throw UserError("paired", "REFERENCE OUTPUT[,OUTPUT...] OUTPUT[,OUTPUT...]", std::to_string(argc - 1) + " words");
    const std::vector<std::string> reference = Lines(argv[1]);
    const auto first = Statistics(argv[2], reference), second = Statistics(argv[3], reference);
    const PairedTest test = ComparePaired<BleuStatistics>(
        first, second, [](const BleuStatistics& s) { return ScoreBleu(s, {}).score; }, 10000, 1);
    std::cout << nlohmann::json{{"first", test.first}, {"second", test.second}, {"p", test.p}, {"low", test.low}, {"high", test.high}}
              << "\n";
  } catch (const std::exception& error) {
    std::cerr << "paired: " << error.what() << "\n";
    return 2;
  }
}
