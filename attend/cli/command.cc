#include "attend/cli/command.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "attend/config/names.h"
#include "attend/config/options.h"

namespace attend::cli {
namespace {

// A model's search options under their path in its configuration, for flags to be laid over.
struct Holder {
  search::SearchOptions search;
  template <class F>
  static void Declare(F& field) {
    field("search", &Holder::search, "how outputs are found");
  }
};

}  // namespace

Parser::Parser(std::string_view command, std::string_view summary) : app_(std::string(summary), "attend " + std::string(command)) {
  app_.allow_extras();
  app_.set_help_flag("", "");
  app_.get_formatter()->column_width(30);
}

void Parser::OptionHelp(std::string title, std::function<std::string(std::string_view)> help) {
  title_ = std::move(title);
  help_ = std::move(help);
}

bool Parser::Parse(Arguments arguments) {
  for (size_t i = 0; i < arguments.size(); i++) {
    if (arguments[i] != "--help" && arguments[i] != "-h") continue;
    const std::string path = i + 1 < arguments.size() && arguments[i + 1][0] != '-' ? arguments[i + 1] : "";
    if (path.empty()) {
      std::cout << app_.help("", CLI::AppFormatMode::Normal) << "  --help [PATH]               this help, or that of the options below a path\n";
      if (help_) std::cout << "\n" << title_ << "\n" << help_("");
    } else if (help_) {
      std::cout << help_(path);
    } else {
      throw UserError(app_.get_name(), "--help alone", "--help " + path);
    }
    return false;
  }
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app_.parse(reversed);
  } catch (const CLI::ParseError& e) {
    throw UserError("[" + app_.get_name() + "] " + e.what());
  }
  rest_ = app_.remaining();
  return true;
}

void Parser::ExpectNothingElse() const {
  if (rest_.empty()) return;
  std::vector<std::string> names;
  for (const CLI::Option* option : app_.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  throw UserError(app_.get_name(), "one of " + list, rest_[0] + config::DidYouMean(rest_[0], names));
}

void AddMachine(CLI::App& app, tasks::Machine& machine) {
  app.add_option("--threads", machine.threads, "threads; 0: all cores")->check(CLI::Range(0, 4096));
  app.add_option("--device", machine.device, "where the model runs: cpu");
}

tasks::Runtime& LoadRuntime() {
  static tasks::Runtime* runtime = [] {
    // Beside the program in a build, in ../lib when installed: the program's run path names both.
    void* library = dlopen("libattend_torch.so", RTLD_NOW | RTLD_GLOBAL);
    if (!library) throw SystemError("[torch] expected libattend_torch.so beside the program or in ../lib; found " + std::string(dlerror()));
    const auto factory = reinterpret_cast<tasks::RuntimeFactory>(dlsym(library, tasks::kRuntimeSymbol));
    if (!factory) throw SystemError("[torch] expected a libattend_torch.so of this program's version; found one without " + std::string(tasks::kRuntimeSymbol));
    return factory();
  }();
  return *runtime;
}

void SearchFlags::Add(Parser& parser) {
  const auto flag = [&](const char* name, const char* option, const char* help) {
    parser.app().add_option_function<std::string>(name, [this, option](const std::string& value) { given_.emplace_back(option, value); }, help);
  };
  flag("--beam", "beam", "hypotheses kept for each sentence; 1: greedy");
  flag("--nbest", "nbest", "outputs for each line");
  flag("--temperature", "temperature", "draw outputs at this temperature");
  flag("--top-k", "top_k", "draw from the k most likely tokens");
  flag("--top-p", "top_p", "draw from the fewest tokens of this probability together");
  flag("--seed", "seed", "of drawing");
  parser.app().add_flag_function("--sample", [this](int64_t) { given_.emplace_back("sample", "true"); }, "draw outputs instead of searching for the best");
  parser.OptionHelp("Options of the search, each as --search.NAME VALUE:", [](std::string_view path) {
    return config::Help<search::SearchOptions>(path.starts_with("search.") ? path.substr(7) : path == "search" ? "" : path);
  });
}

search::SearchOptions SearchFlags::Apply(const search::SearchOptions& defaults, const std::vector<std::string>& rest) const {
  config::Source source = config::Source::FromYaml(config::ToYaml(Holder{defaults}), "the model's config.yaml");
  for (const auto& [option, value] : given_) source.Set("search." + option, value);
  const bool draws = std::any_of(given_.begin(), given_.end(), [](const auto& g) { return g.first == "temperature" || g.first == "top_k" || g.first == "top_p"; });
  if (draws) source.Set("search.sample", "true");
  source.SetAll(rest);
  return config::Read<Holder>(source).search;
}

std::vector<std::string> ReadLines(const std::string& path, std::string_view part) {
  std::vector<std::string> lines;
  std::ifstream file;
  if (!path.empty() && path != "-") {
    if (std::filesystem::is_directory(path)) throw UserError(part, "a text file", path + ", a folder");
    file.open(path, std::ios::binary);
    if (!file) throw UserError(part, "a readable file", path);
  }
  std::istream& in = file.is_open() ? file : std::cin;
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace attend::cli
