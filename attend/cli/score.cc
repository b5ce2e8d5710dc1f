#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "attend/cli/command.h"
#include "attend/cli/text_io.h"

namespace attend::cli::commands {

int score(Arguments arguments) {
  Parser parser("score", "Prints the log-probability (natural logarithm) of every given translation, line for line.");
  std::string model, input, reference;
  bool json = false;
  tasks::Machine machine;
  parser.app().add_option("MODEL", model, "a model directory")->required();
  parser.app().add_option("--input", input, "source text")->required();
  parser.app().add_option("--reference", reference, "the translations to score, line for line")->required();
  parser.app().add_flag("--json", json, "one JSON object a line, with the log-probability of every piece and the word alignment");
  AddMachine(parser.app(), machine);
  if (!parser.Parse(arguments)) return 0;
  parser.ExpectNothingElse();

  const std::vector<std::string> lines = ReadLines(input, "input"), references = ReadLines(reference, "reference");
  if (lines.size() != references.size())
    throw UserError("score", "as many references as input lines",
                    std::to_string(lines.size()) + " lines in " + input + " and " + std::to_string(references.size()) + " in " + reference);
  const auto predictor = LoadRuntime().Load(model, machine);
  for (const tasks::Output& output : predictor->Score(lines, references, json, false)) {
    if (json) {
      nlohmann::ordered_json line = {{"log_prob", output.log_prob}, {"pieces", output.pieces}, {"piece_log_probs", output.piece_log_probs}};
      line["alignment"] = metrics::FormatLinks(output.alignment);
      std::cout << line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n";
    } else {
      char value[400];  // the longest double in fixed notation has 309 digits before the point
      std::snprintf(value, sizeof value, "%.6f\n", output.log_prob);
      std::cout << value;
    }
  }
  return 0;
}

}  // namespace attend::cli::commands
