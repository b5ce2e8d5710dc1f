#include <iostream>
#include <nlohmann/json.hpp>

#include "attend/cli/command.h"
#include "attend/cli/path.h"
#include "attend/spec/mechanisms.h"
#include "attend/spec/validate.h"

namespace attend::cli::commands {
namespace {

nlohmann::ordered_json AsJson() {
  auto lists = nlohmann::ordered_json::array();
  for (const spec::MechanismList& list : spec::Mechanisms()) {
    auto mechanisms = nlohmann::ordered_json::array();
    for (const spec::Mechanism& m : list.mechanisms) {
      auto conflicts = nlohmann::ordered_json::array();
      for (const spec::Conflict& c : spec::Conflicts({list.name, m.name}))
        conflicts.push_back({{"list", c.other.list}, {"name", c.other.name}, {"reason", c.reason}});
      mechanisms.push_back({{"name", m.name},
                            {"formula", m.formula},
                            {"source", m.source},
                            {"parameters", m.parameters},
                            {"conflicts", conflicts},
                            {"path", PathOf(list.name, m.name)}});
    }
    lists.push_back({{"list", list.name}, {"field", list.field}, {"question", list.question}, {"mechanisms", mechanisms}});
  }
  return lists;
}

}  // namespace

int mechanisms(Arguments arguments) {
  Parser parser("mechanisms", "Lists the attention mechanisms: formula, parameters, source, legal partners, path on each device.");
  bool json = false;
  parser.app().add_flag("--json", json, "the same as JSON");
  if (!parser.Parse(arguments)) return 0;
  parser.ExpectNothingElse();
  if (json) {
    std::cout << AsJson().dump(1) << "\n";
    return 0;
  }
  for (const spec::MechanismList& list : spec::Mechanisms()) {
    std::cout << list.field << ": " << list.question << "\n";
    for (const spec::Mechanism& m : list.mechanisms) {
      std::cout << "  " << m.name << std::string(m.name.size() < 14 ? 14 - m.name.size() : 1, ' ') << m.formula << "\n";
      if (!m.parameters.empty()) std::cout << std::string(16, ' ') << "parameters: " << m.parameters << "\n";
      std::cout << std::string(16, ' ') << "source: " << m.source << "\n";
      std::cout << std::string(16, ' ') << "goes with: " << spec::Partners({list.name, m.name}) << "\n";
      std::cout << std::string(16, ' ') << "path: " << PathOf(list.name, m.name) << "\n";
    }
    std::cout << "\n";
  }
  std::cout << "Every combination is legal, provided:\n";
  for (const spec::Rule& rule : spec::Rules()) std::cout << "  " << rule.expected << " (" << rule.reason << ")\n";
  return 0;
}

}  // namespace attend::cli::commands
