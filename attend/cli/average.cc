#include <iostream>

#include "attend/cli/command.h"

namespace attend::cli::commands {

int average(Arguments arguments) {
  Parser parser("average", "Writes a model whose weights are the mean of those of several models of one configuration and vocabulary.");
  std::vector<std::string> models;
  std::string out;
  parser.app().add_option("MODELS", models, "model directories")->required()->take_all();
  parser.app().add_option("--out", out, "the new model directory")->required();
  if (!parser.Parse(arguments)) return 0;
  parser.ExpectNothingElse();
  LoadRuntime().Average(models, out);
  std::cerr << "the mean of " << models.size() << " models lies in " << out << "\n";
  return 0;
}

}  // namespace attend::cli::commands
