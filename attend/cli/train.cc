#include "attend/cli/command.h"
#include "attend/config/options.h"
#include "attend/tasks/options.h"

namespace attend::cli::commands {

int train(Arguments arguments) {
  Parser parser("train", "Trains a model. The run stands in the folder --out; the same command goes on with an interrupted one.");
  std::string file;
  tasks::TrainRequest request;
  parser.app().add_option("CONFIG", file, "a YAML file of options; every option may also be given as a flag, --path.of.option VALUE");
  parser.app().add_option("--out", request.out, "the model directory");
  parser.app().add_flag("--restart", request.restart, "begin anew, deleting the run that lies in --out");
  parser.app().add_flag("--extend", request.extend, "go on with a finished run under larger limits");
  AddMachine(parser.app(), request.machine);
  parser.OptionHelp("Options (--help PATH shows those below one):", [](std::string_view path) { return config::Help<tasks::RunOptions>(path); });

  // A word without dashes before the first flag is the file; CLI11 would also take the value of an unknown flag for it.
  std::vector<std::string> words(arguments.begin(), arguments.end());
  if (!words.empty() && !words[0].starts_with("-")) {
    file = words[0];
    words.erase(words.begin());
  }
  std::vector<std::string> fixed;
  std::vector<std::string> options;
  for (size_t i = 0; i < words.size(); i++) {
    const std::string name = words[i].substr(0, words[i].find('='));
    const bool known = name == "--out" || name == "--restart" || name == "--extend" || name == "--threads" || name == "--device" || name == "--help" || name == "-h";
    const bool takes_value = name != "--restart" && name != "--extend" && name == words[i];
    std::vector<std::string>& to = known ? fixed : options;
    to.push_back(words[i]);
    if (takes_value && i + 1 < words.size() && !words[i + 1].starts_with("--")) to.push_back(words[++i]);
  }
  if (!parser.Parse(fixed)) return 0;
  if (request.out.empty()) throw UserError("train", "--out MODEL, the folder for the model", "none");
  if (!file.empty()) request.source = config::Source::FromFile(file);
  request.source.SetAll(options);
  config::Read<tasks::RunOptions>(request.source);  // a wrong option is told before anything is loaded
  return LoadRuntime().Train(request) ? 0 : 130;
}

}  // namespace attend::cli::commands
