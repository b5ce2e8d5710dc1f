#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "attend/cli/command.h"
#include "attend/cli/text_io.h"

namespace attend::cli::commands {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kLinesAtOnce = 4096;  // sorted by length together; also what is held in memory

Json ToJson(const tasks::Output& output, bool alignments) {
  Json json = {{"text", output.text},         {"score", output.score},   {"log_prob", output.log_prob},
               {"complete", output.complete}, {"pieces", output.pieces}, {"piece_log_probs", output.piece_log_probs}};
  if (alignments) json["alignment"] = metrics::FormatLinks(output.alignment);
  return json;
}

}  // namespace

int predict(Arguments arguments) {
  Parser parser(
      "predict",
      "Translates raw text, line for line: standard input to standard output unless files are named. An empty line gives an empty line.");
  std::string model, input, output, alignment_file, prefix;
  bool json = false;
  tasks::Machine machine;
  SearchFlags search;
  parser.app().add_option("MODEL", model, "a model directory")->required();
  parser.app().add_option("--input", input, "text to translate, one sentence a line");
  parser.app().add_option("--output", output, "where the translations go");
  parser.app().add_option("--alignments", alignment_file, "also write word alignments to this file: source-target positions, i-j ...");
  parser.app().add_option("--prefix", prefix, "what every translation begins with");
  parser.app().add_flag("--json", json, "one JSON object a line, with scores, pieces and all of --nbest");
  search.Add(parser);
  AddMachine(parser.app(), machine);
  if (!parser.Parse(arguments)) return 0;

  tasks::PredictRequest request;
  request.search = search.Apply(model, parser.rest());
  LineReader reader(input, "input");
  Sink sink(output, "output");
  std::optional<Sink> links;
  if (!alignment_file.empty()) links.emplace(alignment_file, "alignments");
  const bool typed = (input.empty() || input == "-") && isatty(STDIN_FILENO) == 1;

  const auto predictor = LoadRuntime().Load(model, machine);
  request.alignments = links.has_value();
  const size_t at_once = typed ? 1 : kLinesAtOnce;
  int64_t& number = request.first_line;
  for (bool more = true; more;) {
    std::vector<std::string> lines;
    for (std::string line; lines.size() < at_once && (more = reader.Next(line));) lines.push_back(std::move(line));
    if (lines.empty()) break;
    if (!prefix.empty()) request.prefixes.assign(lines.size(), prefix);
    std::vector<std::string> notices;
    const auto results = predictor->Predict(lines, request, notices);
    for (const std::string& notice : notices) std::cerr << "attend: " << notice << "\n";
    for (size_t i = 0; i < results.size(); i++, number++) {
      if (json) {
        Json line = {{"line", number}, {"source", lines[i]}, {"outputs", Json::array()}};
        for (const tasks::Output& o : results[i]) line["outputs"].push_back(ToJson(o, request.alignments));
        sink.Write(line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
      } else if (request.search.nbest > 1) {
        for (const tasks::Output& o : results[i]) {
          char score[32];
          std::snprintf(score, sizeof(score), "%.6f", o.score);
          sink.Write(std::to_string(number) + " ||| " + o.text + " ||| " + score + "\n");
        }
      } else {
        sink.Write(results[i][0].text + "\n");
      }
      if (links) links->Write(metrics::FormatLinks(results[i][0].alignment) + "\n");
    }
    sink.Flush();
  }
  if (links) links->Commit();
  sink.Commit();
  return 0;
}

}  // namespace attend::cli::commands
