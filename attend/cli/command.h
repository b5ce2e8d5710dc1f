#pragma once

#include <CLI/CLI.hpp>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "attend/tasks/runtime.h"

namespace attend::cli {

using Arguments = std::span<const std::string>;

// The words after the command's name: fixed flags are CLI11's, every other `--a.b value` is an option of the configuration and is left
// in `rest`. `--help` and `--help a.b` print and are answered with false.
class Parser {
 public:
  Parser(std::string_view command, std::string_view summary);
  CLI::App& app() { return app_; }
  // The option tree whose help stands below the flags: text for a dotted path; and the names that its paths begin with.
  void OptionTree(std::string title, std::function<std::string(std::string_view path)> help, std::vector<std::string> names);
  // UserError for what cannot be parsed.
  bool Parse(Arguments arguments);
  const std::vector<std::string>& rest() const { return rest_; }
  // UserError when something was left over.
  void ExpectNothingElse() const;

 private:
  bool Help(const std::string& path) const;
  std::vector<std::string> Flags() const;

  CLI::App app_;
  std::string command_, title_;
  std::function<std::string(std::string_view)> help_;
  std::vector<std::string> names_, rest_;
};

// --threads and --device.
void AddMachine(CLI::App& app, tasks::Machine& machine);

// Loads libattend_torch from beside the program or from ../lib, once. SystemError naming what the loader said.
tasks::Runtime& LoadRuntime();

// --beam, --nbest, --sample, ... and `rest` (--search.x) over the search options in a model's configuration.
class SearchFlags {
 public:
  void Add(Parser& parser);
  // UserError: `model` is no model directory; unknown options, or such as contradict each other.
  search::SearchOptions Apply(const std::string& model, const std::vector<std::string>& rest) const;

 private:
  std::vector<std::pair<std::string, std::string>> given_;  // option and value, in order
};

namespace commands {
#define ATTEND_COMMAND(name, help) int name(Arguments arguments);
#include "attend/cli/commands.def"
#undef ATTEND_COMMAND
}  // namespace commands

}  // namespace attend::cli
