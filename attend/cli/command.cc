#include "attend/cli/command.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "attend/config/names.h"
#include "attend/config/options.h"
#include "attend/data/model_directory.h"
#include "attend/tasks/options.h"

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

Parser::Parser(std::string_view command, std::string_view summary)
    : app_(std::string(summary), "attend " + std::string(command)), command_(command) {
  app_.allow_extras();
  app_.set_help_flag("", "");
  app_.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);  // as with the options of the tree
  app_.get_formatter()->column_width(30);
}

void Parser::OptionTree(std::string title, std::function<std::string(std::string_view)> help, std::vector<std::string> names) {
  title_ = std::move(title);
  help_ = std::move(help);
  names_ = std::move(names);
}

std::vector<std::string> Parser::Flags() const {
  std::vector<std::string> out;
  for (const CLI::Option* option : app_.get_options())
    for (const std::string& name : option->get_lnames()) out.push_back("--" + name);
  return out;
}

bool Parser::Help(const std::string& path) const {
  if (path.empty()) {
    std::cout << app_.help("", CLI::AppFormatMode::Normal)
              << "  --help [PATH]               this help, or that of the options below a path\n";
    if (help_) std::cout << "\n" << title_ << "\n" << help_("");
  } else if (help_) {
    std::cout << help_(path);
  } else {
    throw UserError(command_, "--help alone", "--help " + path);
  }
  return false;
}

bool Parser::Parse(Arguments arguments) {
  // Words of CLI11's come last first. A flag that it does not know is an option of the tree and takes its value along: CLI11 would take
  // the value for a word of its own.
  std::vector<std::string> fixed;
  for (size_t i = 0; i < arguments.size(); i++) {
    const std::string& word = arguments[i];
    const bool more = i + 1 < arguments.size();
    if (word == "--help" || word == "-h") return Help(more && !arguments[i + 1].starts_with('-') ? arguments[i + 1] : "");
    const size_t equals = word.find('=');
    const std::string flag = word.substr(0, equals);
    if (word.size() < 3 || !word.starts_with("--") || app_.get_option_no_throw(flag)) {
      fixed.insert(fixed.begin(), word);
      continue;
    }
    const std::string near = config::DidYouMean(flag, Flags());
    if (!near.empty() && std::find(names_.begin(), names_.end(), flag.substr(2, flag.find('.') - 2)) == names_.end())
      throw UserError(command_, "a flag that --help lists", flag + near);
    rest_.push_back(word);
    if (equals == std::string::npos && more && !arguments[i + 1].starts_with("--")) rest_.push_back(arguments[++i]);
  }
  const auto before = [](const std::string& text, std::string_view mark) { return text.substr(0, text.find(mark)); };
  try {
    app_.parse(fixed);
  } catch (const CLI::RequiredError& e) {
    throw UserError(command_, before(e.what(), " is required"), "none");
  } catch (const CLI::ArgumentMismatch& e) {
    throw UserError(command_, "a value after " + before(e.what(), ":"), "none");
  } catch (const CLI::ParseError& e) {
    throw UserError(command_, "what --help lists", e.what());
  }
  const std::vector<std::string> surplus = app_.remaining();
  rest_.insert(rest_.end(), surplus.begin(), surplus.end());
  return true;
}

void Parser::ExpectNothingElse() const {
  if (rest_.empty()) return;
  std::string list;
  for (const std::string& flag : Flags()) list += (list.empty() ? "" : ", ") + flag;
  throw UserError(command_, list.empty() ? "nothing more" : "no other flags than " + list, rest_[0]);
}

void AddMachine(CLI::App& app, tasks::Machine& machine) {
  app.add_option("--threads", machine.threads, "threads; 0: all cores")->check(CLI::Range(0, 4096));
  app.add_option("--device", machine.device, "where the model runs: cpu")->check(CLI::IsMember({"cpu"}));
}

tasks::Runtime& LoadRuntime() {
  static tasks::Runtime* runtime = [] {
    // Sentences come in thousands of shapes, and a matrix product of a new shape is a new piece of generated code: torch (through
    // ideep) and oneDNN keep the last 1,024 each, a megabyte apiece, unless told otherwise before they are loaded. A few do: what is
    // found again is found within a step.
    setenv("LRU_CACHE_CAPACITY", "8", /*overwrite=*/0);
    setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32", /*overwrite=*/0);
    // Beside the program in a build, in ../lib when installed: the program's run path names both.
    void* library = dlopen("libattend_torch.so", RTLD_NOW | RTLD_GLOBAL);
    if (!library) throw SystemError("[torch] expected libattend_torch.so beside the program or in ../lib; found " + std::string(dlerror()));
    const auto factory = reinterpret_cast<tasks::RuntimeFactory>(dlsym(library, tasks::kRuntimeSymbol));
    if (!factory)
      throw SystemError("[torch] expected a libattend_torch.so of this program's version; found one without " +
                        std::string(tasks::kRuntimeSymbol));
    return factory();
  }();
  return *runtime;
}

void SearchFlags::Add(Parser& parser) {
  const auto flag = [&](const char* name, const char* option, const char* help) {
    parser.app().add_option_function<std::string>(
        name, [this, option](const std::string& value) { given_.emplace_back(option, value); }, help);
  };
  flag("--beam", "beam", "hypotheses kept for each sentence; 1: greedy");
  flag("--nbest", "nbest", "outputs for each line");
  flag("--temperature", "temperature", "draw outputs at this temperature");
  flag("--top-k", "top_k", "draw from the k most likely tokens");
  flag("--top-p", "top_p", "draw from the fewest tokens of this probability together");
  flag("--seed", "seed", "of drawing");
  parser.app().add_flag_function(
      "--sample", [this](int64_t) { given_.emplace_back("sample", "true"); }, "draw outputs instead of searching for the best");
  parser.OptionTree(
      "Options of the search, each as --search.NAME VALUE:",
      [](std::string_view path) {
        return config::Help<search::SearchOptions>(path.starts_with("search.") ? path.substr(7) : path == "search" ? "" : path);
      },
      {"search"});
}

search::SearchOptions SearchFlags::Apply(const std::string& model, const std::vector<std::string>& rest) const {
  const data::ModelDirectory directory{Path(model)};
  directory.ExpectModel("model");
  config::Source source = config::Source::FromYaml(config::ToYaml(Holder{tasks::ReadConfig(directory).search}), "the model's config.yaml");
  for (const auto& [option, value] : given_) source.Set("search." + option, value);
  const bool draws = std::any_of(given_.begin(), given_.end(),
                                 [](const auto& g) { return g.first == "temperature" || g.first == "top_k" || g.first == "top_p"; });
  if (draws) source.Set("search.sample", "true");
  source.SetAll(rest);
  const search::SearchOptions options = config::Read<Holder>(source).search;
  search::Validate(options);
  return options;
}

}  // namespace attend::cli
