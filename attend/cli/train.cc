#include "attend/cli/command.h"
#include "attend/config/options.h"
#include "attend/tasks/options.h"

namespace attend::cli::commands {

int train(Arguments arguments) {
  Parser parser("train", "Trains a model. The run stands in the folder --out; the same command goes on with an interrupted one.");
  std::string file;
  tasks::TrainRequest request;
  parser.app().add_option("CONFIG", file, "a YAML file of options; every option may also be given as a flag, --path.of.option VALUE");
  parser.app().add_option("--out", request.out, "the model directory")->required();
  parser.app().add_flag("--restart", request.restart, "begin anew, deleting the run that lies in --out");
  parser.app().add_flag("--extend", request.extend, "go on with a finished run under larger limits");
  AddMachine(parser.app(), request.machine);
  std::vector<std::string> names;
  for (const std::string& path : config::Paths<tasks::RunOptions>()) names.push_back(path.substr(0, path.find('.')));
  parser.OptionTree(
      "Options (--help PATH shows those below one):", [](std::string_view path) { return config::Help<tasks::RunOptions>(path); }, names);
  if (!parser.Parse(arguments)) return 0;
  if (!file.empty()) request.source = config::Source::FromFile(file);
  request.source.SetAll(parser.rest());
  tasks::ReadRunOptions(request.source);  // a wrong option is told before anything is loaded
  return LoadRuntime().Train(request) ? 0 : 130;
}

}  // namespace attend::cli::commands
