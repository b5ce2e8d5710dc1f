#include <iostream>

#include "attend/cli/command.h"
#include "attend/cli/version.h"

namespace attend::cli::commands {

int version(Arguments arguments) {
  Parser parser("version", "Says what this program is made of and which paths it takes on this machine.");
  tasks::Machine machine;
  AddMachine(parser.app(), machine);
  if (!parser.Parse(arguments)) return 0;
  parser.ExpectNothingElse();
  std::cout << "attend " << kVersion << "\ncompiler: " << __VERSION__ << "\n";
  for (const std::string& fact : LoadRuntime().Facts(machine)) std::cout << fact << "\n";
  return 0;
}

}  // namespace attend::cli::commands
