#include <iostream>

#include "attend/cli/command.h"
#include "attend/cli/path.h"
#include "attend/config/names.h"
#include "attend/config/options.h"
#include "attend/spec/mechanisms.h"
#include "attend/spec/validate.h"
#include "attend/tasks/options.h"

namespace attend::cli::commands {
namespace {

constexpr std::string_view kWritten = "Written by `make docs` from the declarations in the source.\n";

// Text for a cell of a table, where a bar would end it.
std::string Cell(std::string_view text, std::string_view quote = "") {
  if (text.empty()) return "";
  std::string out(quote);
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out + std::string(quote);
}

// What the tasks, and Transformers there, have otherwise than this page says.
std::string DefaultsOfTasks() {
  std::string out;
  const auto tell = [&out](const std::string& when, const tasks::RunOptions& usual, const tasks::RunOptions& here) {
    std::string list;
    for (const config::Difference& d : config::Differences(usual, here))
      if (d.path != "task") list += (list.empty() ? "" : ", ") + ("`" + d.path + "` " + d.b);
    if (!list.empty()) out += "\nWith " + when + " the defaults are otherwise " + list + ".\n";
  };
  for (const Choice& choice : Choices(tasks::Task{})) {
    const auto task = static_cast<tasks::Task>(choice.value);
    const std::string name = "`task: " + std::string(choice.name) + "`";
    tell(name, tasks::RunOptions{}, tasks::DefaultsOf(task, false));
    tell(name + " and a Transformer on either side", tasks::DefaultsOf(task, false), tasks::DefaultsOf(task, true));
  }
  return out;
}

std::string ConfigurationPage() {
  std::string page = config::Markdown<tasks::RunOptions>("Options");
  page.insert(page.find('\n') + 1,
              "\n" + std::string(kWritten) +
                  "\nEvery option below may stand in a YAML file, `attend train CONFIG --out MODEL`, or be given as a flag, "
                  "`--path.of.option VALUE`; "
                  "a flag wins. All have defaults but the training text. The resolved configuration of a model is its `config.yaml`.\n" +
                  DefaultsOfTasks());
  return page;
}

std::string MechanismsPage() {
  std::string page =
      "# Mechanisms\n\n" + std::string(kWritten) +
      "\nq query, k key, v value, s score, w weight; i counts queries, j keys. `attend mechanisms` prints the same in the terminal.\n\n"
      "![What eight translators, alike but for one choice, look at in one sentence](pictures/mechanisms.svg)\n\n"
      "Eight translators, alike but for one choice, trained for a minute each on sentences that a program makes up, and the same sentence "
      "in "
      "each: examples/sentences/mechanisms.py.\n";
  for (const spec::MechanismList& list : spec::Mechanisms()) {
    page += "\n## " + std::string(list.name) + "\n\n`" + std::string(list.field) + "`: " + std::string(list.question) +
            ".\n\n| name | formula | parameters | source | goes with | path |\n|---|---|---|---|---|---|\n";
    for (const spec::Mechanism& m : list.mechanisms)
      page += "| " + Cell(m.name, "`") + " | " + Cell(m.formula, "`") + " | " + Cell(m.parameters) + " | " + Cell(m.source) + " | " +
              Cell(spec::Partners({list.name, m.name})) + " | " + Cell(PathOf(list.name, m.name)) + " |\n";
  }
  page += "\n## Which combinations are legal\n\nEvery combination, provided:\n\n";
  for (const spec::Rule& rule : spec::Rules()) page += "- " + std::string(rule.expected) + ": " + std::string(rule.reason) + "\n";
  return page +
         "\n## Path\n\nFused: by one pass of attend/kernels, in float and bfloat16, without an array of all pairs; forward and backward. "
         "Composed: by its formula on torch's operations, in attend/ops or attend/nn. `attend.explain` says which path a call takes.\n";
}

struct Page {
  std::string_view name;
  std::string (*write)();
};
constexpr Page kPages[] = {{"configuration", ConfigurationPage}, {"mechanisms", MechanismsPage}};

}  // namespace

int docs(Arguments arguments) {
  Parser parser("docs", "Prints a page of the documentation, in Markdown, as this program's own declarations have it.");
  std::string name;
  parser.app().add_option("PAGE", name, "configuration (every option) or mechanisms (every formula)")->required();
  if (!parser.Parse(arguments)) return 0;
  parser.ExpectNothingElse();
  std::string list;
  std::vector<std::string> names;
  for (const Page& page : kPages) {
    if (page.name == name) {
      std::cout << page.write();
      return 0;
    }
    names.emplace_back(page.name);
    list += (list.empty() ? "" : ", ") + names.back();
  }
  throw UserError("docs", "one of " + list, name + config::DidYouMean(name, names));
}

}  // namespace attend::cli::commands
