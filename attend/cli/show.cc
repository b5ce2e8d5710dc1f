#include <unistd.h>

#include <iostream>

#include "attend/cli/command.h"
#include "attend/cli/text_io.h"
#include "attend/report/html.h"
#include "attend/report/json.h"
#include "attend/report/svg.h"
#include "attend/report/text.h"

namespace attend::cli::commands {
namespace {

enum class Format { html, svg, json, text };
std::span<const Choice> Choices(Format) {
  static constexpr Choice kChoices[] = {{"html", 0}, {"svg", 1}, {"json", 2}, {"text", 3}};
  return kChoices;
}

}  // namespace

int show(Arguments arguments) {
  Parser parser("show", "Translates sentences, or goes on with texts, and shows what the model looked at while it wrote each token.");
  std::string model, input, out, format_name = "html";
  std::vector<std::string> texts, references;
  int64_t tokens = 40;
  tasks::Machine machine;
  SearchFlags search;
  parser.app().add_option("MODEL", model, "a model directory")->required();
  parser.app().add_option("--text", texts, "a sentence; may be given several times")->take_all()->allow_extra_args(false);
  parser.app().add_option("--input", input, "a file of sentences instead of --text");
  parser.app()
      .add_option("--reference", references, "show the attention over this translation instead of the model's own; one for each --text")
      ->take_all()
      ->allow_extra_args(false);
  parser.app().add_option("--out", out, "where the report goes; default: report.html, standard output for the other formats");
  parser.app().add_option("--format", format_name, "html, svg (the first map), json or text (in the terminal)");
  parser.app().add_option("--tokens", tokens, "of a language model: how many tokens to go on with")->check(CLI::Range(0, 1'000'000));
  search.Add(parser);
  AddMachine(parser.app(), machine);
  if (!parser.Parse(arguments)) return 0;
  const auto format = ParseChoice<Format>("format", format_name);
  if (!input.empty()) texts = ReadLines(input, "input");
  if (texts.empty()) throw UserError("show", "at least one --text SENTENCE, or --input FILE", "none");
  if (!references.empty() && references.size() != texts.size())
    throw UserError("show", "one --reference for each sentence",
                    std::to_string(references.size()) + " for " + std::to_string(texts.size()));
  if (out.empty() && format == Format::html) out = "report.html";
  tasks::PredictRequest request;
  request.search = search.Apply(model, parser.rest());
  request.maps = true;
  Sink sink(out, "out");

  const auto predictor = LoadRuntime().Load(model, machine);
  const bool continues = predictor->continues();
  if (continues && !references.empty()) throw UserError("show", "--reference with a model that translates", "one that goes on with a text");
  std::vector<std::vector<tasks::Output>> results;
  if (continues) {
    tasks::GenerateRequest text;
    text.tokens = tokens;
    text.temperature = request.search.sample ? request.search.temperature : 0;
    text.top_k = request.search.top_k;
    text.top_p = request.search.top_p;
    text.seed = request.search.seed;
    text.maps = true;
    for (const std::string& prompt : texts) {
      text.prompt = prompt;
      results.push_back({predictor->Generate(text, nullptr)});
    }
  } else if (references.empty()) {
    std::vector<std::string> notices;
    results = predictor->Predict(texts, request, notices);
    for (const std::string& notice : notices) std::cerr << "attend: " << notice << "\n";
  } else {
    for (tasks::Output& output : predictor->Score(texts, references, false, true)) results.push_back({std::move(output)});
  }

  report::AttentionReport report{"Attention of " + model, model, {}};
  for (size_t i = 0; i < texts.size(); i++)
    for (const tasks::Output& output : results[i]) {
      report::AttentionExample example{
          texts[i], {{continues ? "prompt" : "source", texts[i]}, {references.empty() ? "output" : "reference", output.text}}, output.maps};
      if (example.maps.empty()) continue;  // an empty line, or a model without attention
      report.examples.push_back(std::move(example));
    }
  if (report.examples.empty()) throw UserError("show", "a model with attention and a sentence with words in it", "nothing to show");

  switch (format) {
    case Format::html:
      sink.Write(report::RenderHtml(report));
      break;
    case Format::svg:
      sink.Write(report::RenderSvg(report.examples[0].maps[0]));
      break;
    case Format::json:
      sink.Write(report::RenderJson(report));
      break;
    case Format::text:
      sink.Write(report::RenderText(report, out.empty() ? report::TextOptionsFor(STDOUT_FILENO) : report::TextOptions{}));
      break;
  }
  sink.Commit();
  if (!out.empty() && out != "-") std::cerr << "the report lies in " << out << "\n";
  return 0;
}

}  // namespace attend::cli::commands
