#include <iostream>

#include "attend/cli/command.h"
#include "attend/spec/mechanisms.h"
#include "attend/spec/validate.h"

namespace attend::cli::commands {

int mechanisms(Arguments arguments) {
  Parser parser("mechanisms", "Lists the attention mechanisms: formula, parameters, source; and which combinations are legal.");
  if (!parser.Parse(arguments)) return 0;
  parser.ExpectNothingElse();
  for (const spec::MechanismList& list : spec::Mechanisms()) {
    std::cout << list.field << ": " << list.question << "\n";
    for (const spec::Mechanism& m : list.mechanisms) {
      std::cout << "  " << m.name << std::string(m.name.size() < 14 ? 14 - m.name.size() : 1, ' ') << m.formula << "\n";
      if (!m.parameters.empty()) std::cout << std::string(16, ' ') << "parameters: " << m.parameters << "\n";
      std::cout << std::string(16, ' ') << m.source << "\n";
    }
    std::cout << "\n";
  }
  std::cout << "Every combination is legal, provided:\n";
  for (const spec::Rule& rule : spec::Rules()) std::cout << "  " << rule.expected << " (" << rule.reason << ")\n";
  std::cout << "Path: composed on every device.\n";
  return 0;
}

}  // namespace attend::cli::commands
