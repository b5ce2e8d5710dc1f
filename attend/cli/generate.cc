#include <iostream>

#include "attend/cli/command.h"
#include "attend/cli/text_io.h"

namespace attend::cli::commands {

int generate(Arguments arguments) {
  Parser parser("generate", "Goes on with a text, token by token as the model draws them. The same seed gives the same text.");
  std::string model, input;
  tasks::GenerateRequest request;
  int64_t samples = 1;
  tasks::Machine machine;
  CLI::App& app = parser.app();
  app.add_option("MODEL", model, "a model directory of task language_model")->required();
  app.add_option("--prompt", request.prompt, "the text to go on with; \\n in it is a line end");
  app.add_option("--input", input, "a file with that text, - for standard input");
  app.add_option("--tokens", request.tokens, "how many tokens to write")->check(CLI::Range(int64_t{1}, int64_t{1'000'000'000}));
  app.add_option("--temperature", request.temperature, "below 1 sharper, above 1 flatter, 0 the most likely token")
      ->check(CLI::Range(0.0, 100.0));
  app.add_option("--top-k", request.top_k, "draw from the k most likely tokens; 0: from all")->check(CLI::Range(0, 1'000'000));
  app.add_option("--top-p", request.top_p, "draw from the fewest tokens that together have this probability (Holtzman et al. 2020)")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--seed", request.seed, "of the draws");
  app.add_option("--samples", samples, "how many texts, with a line of --- between them")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}));
  AddMachine(app, machine);
  if (!parser.Parse(arguments)) return 0;
  parser.ExpectNothingElse();
  if (!input.empty() && !request.prompt.empty()) throw UserError("generate", "--prompt or --input", "both");
  if (!input.empty()) request.prompt = ReadAll(input, "input");
  for (size_t at = 0; input.empty() && (at = request.prompt.find("\\n", at)) != std::string::npos; at++)
    request.prompt.replace(at, 2, "\n");

  const auto predictor = LoadRuntime().Load(model, machine);
  predictor->ExpectContinues("generate");
  for (request.number = 0; request.number < samples; request.number++) {
    if (request.number > 0) std::cout << "\n---\n";
    std::cout << request.prompt << std::flush;
    predictor->Generate(request, [](std::string_view text) {
      std::cout << text;
      FlushOutput();
    });
  }
  std::cout << "\n";
  FlushOutput();
  return 0;
}

}  // namespace attend::cli::commands
