#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "attend/cli/command.h"
#include "attend/config/options.h"
#include "attend/data/model_directory.h"
#include "attend/data/safetensors.h"
#include "attend/tasks/options.h"

namespace attend::cli::commands {
namespace {

std::string Shape(const std::vector<int64_t>& shape) {
  std::string out;
  for (int64_t n : shape) out += (out.empty() ? "" : " x ") + std::to_string(n);
  return out.empty() ? "scalar" : out;
}

// The validations that the log tells of.
void PrintHistory(const Path& log) {
  std::ifstream file(log);
  std::ostringstream rows;
  for (std::string line; std::getline(file, line);) {
    const auto entry = nlohmann::json::parse(line, nullptr, false);
    if (!entry.is_object() || entry.value("event", nlohmann::json()) != "validation") continue;
    char text[64];
    const auto number = [&](const char* name) { return entry.contains(name) && entry[name].is_number() ? entry[name].get<double>() : 0; };
    std::snprintf(text, sizeof(text), "  step %-8.0f epoch %-7.2f", number("step"), number("epoch"));
    rows << text;
    if (entry.contains("metrics") && entry["metrics"].is_object())
      for (const auto& [name, metric] : entry["metrics"].items())
        if (metric.is_object() && metric.contains("value") && metric["value"].is_number()) {
          std::snprintf(text, sizeof(text), " %s %.2f ", name.c_str(), metric["value"].get<double>());
          rows << text;
        }
    rows << (entry.value("best", nlohmann::json()) == true ? " best so far" : "") << "\n";
  }
  if (!rows.str().empty()) std::cout << "\nvalidations\n" << rows.str();
}

}  // namespace

int inspect(Arguments arguments) {
  Parser parser("inspect", "Says what is in a model directory: mechanisms, sizes, parameters, history.");
  std::string model;
  bool verify = false;
  parser.app().add_option("MODEL", model, "a model directory")->required();
  parser.app().add_flag("--verify", verify, "also read all of the weights and check their checksum");
  if (!parser.Parse(arguments)) return 0;
  parser.ExpectNothingElse();

  const data::ModelDirectory directory{Path(model)};
  directory.ExpectModel("model");
  const tasks::RunOptions options = tasks::ReadConfig(directory);
  const data::Safetensors weights(directory.model());
  if (verify) weights.Verify();
  std::cout << model << ": " << Name(options.task) << ", "
            << (directory.State() == data::DirectoryState::finished ? "finished" : "unfinished") << "\n";
  for (const auto& [key, value] : weights.metadata()) std::cout << "  " << key << ": " << value << "\n";
  std::cout << "\n" << config::ToYaml(options.model) << "\n";
  int64_t total = 0;
  size_t widest = 0;
  for (const auto& [name, tensor] : weights.tensors()) {
    total += tensor.elements();
    widest = std::max(widest, name.size());
  }
  std::cout << "parameters: " << total << "\n";
  for (const auto& [name, tensor] : weights.tensors())
    std::cout << "  " << name << std::string(widest + 2 - name.size(), ' ') << Name(tensor.type) << "  " << Shape(tensor.shape) << "\n";
  PrintHistory(directory.log());
  return 0;
}

}  // namespace attend::cli::commands
