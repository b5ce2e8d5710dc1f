#include <iostream>
#include <optional>

#include "attend/cli/command.h"
#include "attend/cli/text_io.h"

namespace attend::cli::commands {
namespace {

void Print(const std::vector<metrics::Metric>& found, bool json) {
  if (json) {
    std::cout << metrics::Json(found) << "\n";
  } else {
    for (const metrics::Metric& metric : found) std::cout << metrics::Line(metric) << "\n";
  }
}

}  // namespace

int evaluate(Arguments arguments) {
  Parser parser(
      "evaluate",
      "Translates a text and compares with its references: BLEU, chrF, perplexity, exact match, alignment error rate. Of a language "
      "model: how well it foretells a text, perplexity and bits per character.");
  std::string model, input, reference, tokenizer, gold, output;
  bool json = false, lowercase = false;
  tasks::Machine machine;
  SearchFlags search;
  parser.app().add_option("MODEL", model, "a model directory")->required();
  parser.app().add_option("--input", input, "source text; of a language model: the text to foretell")->required();
  parser.app().add_option("--reference", reference, "its translations, line for line");
  parser.app().add_option("--tokenize", tokenizer, "BLEU's tokeniser: " + ChoiceList<metrics::BleuTokenizer>());
  parser.app().add_flag("--lowercase", lowercase, "compare without case");
  parser.app().add_option("--gold-alignments", gold,
                          "word links i-j (sure) and i?j (possible) of every line: gives the alignment error rate");
  parser.app().add_option("--output", output, "also write the translations to this file");
  parser.app().add_flag("--json", json, "one JSON array");
  search.Add(parser);
  AddMachine(parser.app(), machine);
  if (!parser.Parse(arguments)) return 0;

  if (reference.empty()) {
    search.Apply(model, parser.rest());  // a model directory, and options that are some
    const auto predictor = LoadRuntime().Load(model, machine);
    if (!predictor->continues()) throw UserError("evaluate", "--reference FILE, the translations of --input", "none");
    for (const auto& [given, option] : {std::pair(!output.empty(), "--output"), std::pair(!gold.empty(), "--gold-alignments"),
                                        std::pair(!tokenizer.empty(), "--tokenize"), std::pair(lowercase, "--lowercase")})
      if (given) throw UserError("evaluate", std::string(option) + " with a model that translates", "one that goes on with a text");
    Print(predictor->EvaluateText(ReadAll(input, "input")), json);
    return 0;
  }
  const std::vector<std::string> lines = ReadLines(input, "input"), references = ReadLines(reference, "reference");
  if (lines.size() != references.size())
    throw UserError("evaluate", "as many references as input lines",
                    std::to_string(lines.size()) + " lines in " + input + " and " + std::to_string(references.size()) + " in " + reference);
  if (lines.empty()) throw UserError("evaluate", "at least one line in " + input, "none");
  tasks::EvaluateRequest request;
  request.search = search.Apply(model, parser.rest());
  request.bleu.lowercase = lowercase;
  if (!tokenizer.empty()) request.bleu.tokenizer = metrics::ParseBleuTokenizer("tokenize", tokenizer);
  if (!gold.empty()) {
    request.gold_alignments = ReadLines(gold, "gold-alignments");
    if (request.gold_alignments.size() != lines.size())
      throw UserError(
          "evaluate", "as many lines of gold alignments as of input",
          std::to_string(request.gold_alignments.size()) + " in " + gold + " and " + std::to_string(lines.size()) + " in " + input);
    for (size_t i = 0; i < lines.size(); i++)
      metrics::ParseLinks(request.gold_alignments[i], static_cast<int64_t>(i) + 1);  // errors before work
  }
  std::optional<Sink> sink;
  if (!output.empty()) sink.emplace(output, "output");
  const auto predictor = LoadRuntime().Load(model, machine);
  std::vector<std::string> notices;
  const tasks::Evaluation result = predictor->Evaluate(lines, references, request, notices);
  for (const std::string& notice : notices) std::cerr << "attend: " << notice << "\n";
  if (sink) {
    for (const std::string& line : result.outputs) sink->Write(line + "\n");
    sink->Commit();
  }
  Print(result.metrics, json);
  return 0;
}

}  // namespace attend::cli::commands
