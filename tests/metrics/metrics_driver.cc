// Scores what sacrebleu_test.py sends: one JSON request a line on stdin, one JSON answer a line on stdout.
//
//   {"do": "corpus", "name": N, "outputs": [..], "references": [[..], ..]}       kept for the requests that follow
//   {"do": "bleu", "corpus": N, "tokenizer", "lowercase", "smoothing", "smoothing_value"?, "effective_order"}
//   {"do": "chrf", "corpus": N, "character_order", "word_order", "beta", "lowercase", "whitespace", "eps_smoothing"}
//   {"do": "words", "corpus": N, "tokenizer", "lowercase"}                       the outputs' words
//   {"do": "lower", "corpus": N}                                                 the outputs in lower case
//   {"do": "line", "corpus": N}                                                  sacreBLEU's line of the default BLEU
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "attend/base/utf8.h"
#include "attend/metrics/bleu.h"
#include "attend/metrics/chrf.h"
#include "attend/metrics/unicode.h"

namespace attend::metrics {
namespace {

using nlohmann::json;

struct Corpus {
  std::vector<std::string> outputs;
  std::vector<std::vector<std::string>> references;
  int sets() const { return static_cast<int>(references.size()); }
};

std::string Encode(std::u32string_view text) {
  std::string out;
  for (const char32_t c : text) utf8::Append(c, out);
  return out;
}

json AnswerBleu(const Corpus& corpus, const json& request) {
  BleuOptions options;
  options.tokenizer = ParseBleuTokenizer("tokenizer", request.at("tokenizer").get<std::string>());
  options.lowercase = request.at("lowercase");
  options.smoothing = ParseChoice<BleuSmoothing>("smoothing", request.at("smoothing").get<std::string>());
  if (request.contains("smoothing_value")) options.smoothing_value = request["smoothing_value"].get<double>();
  options.effective_order = request.at("effective_order");
  const Metric metric = BleuMetric(CorpusBleu(corpus.outputs, corpus.references, options), options, corpus.sets());
  json answer = {{"score", metric.value}, {"signature", metric.signature}, {"details", metric.details}};
  for (const BleuStatistics& s : AllBleuStatistics(corpus.outputs, corpus.references, options)) {
    std::vector<int64_t> row = {s.system_length, s.reference_length};
    row.insert(row.end(), s.counts.begin(), s.counts.end());
    row.insert(row.end(), s.totals.begin(), s.totals.end());
    answer["statistics"].push_back(row);
    answer["sentences"].push_back(ScoreBleu(s, options).score);
  }
  return answer;
}

json AnswerChrf(const Corpus& corpus, const json& request) {
  ChrfOptions options;
  options.character_order = request.at("character_order");
  options.word_order = request.at("word_order");
  options.beta = request.at("beta");
  options.lowercase = request.at("lowercase");
  options.whitespace = request.at("whitespace");
  options.eps_smoothing = request.at("eps_smoothing");
  const Metric metric = ChrfMetric(CorpusChrf(corpus.outputs, corpus.references, options), options, corpus.sets());
  json answer = {{"score", metric.value}, {"signature", metric.signature}, {"name", metric.name}};
  for (const ChrfStatistics& s : AllChrfStatistics(corpus.outputs, corpus.references, options))
    answer["sentences"].push_back(ScoreChrf(s, options));
  return answer;
}

json AnswerWords(const Corpus& corpus, const json& request) {
  const BleuTokenizer tokenizer = ParseBleuTokenizer("tokenizer", request.at("tokenizer").get<std::string>());
  json answer = json::array();
  for (const std::string& line : corpus.outputs) {
    std::u32string text = Decode(line);
    if (request.at("lowercase")) text = Lower(text);
    json words = json::array();
    const std::u32string tokenised = Tokenize(tokenizer, StripRight(text));
    for (const std::u32string_view word : Split(tokenised)) words.push_back(Encode(word));
    answer.push_back(words);
  }
  return answer;
}

json AnswerLower(const Corpus& corpus) {
  json answer = json::array();
  for (const std::string& line : corpus.outputs) answer.push_back(Encode(Lower(Decode(line))));
  return answer;
}

json Answer(const json& request, std::map<std::string, Corpus>* corpora) {
  const std::string what = request.at("do");
  if (what == "corpus") {
    (*corpora)[request.at("name")] = {request.at("outputs"), request.at("references")};
    return true;
  }
  const Corpus& corpus = corpora->at(request.at("corpus"));
  if (what == "bleu") return AnswerBleu(corpus, request);
  if (what == "chrf") return AnswerChrf(corpus, request);
  if (what == "words") return AnswerWords(corpus, request);
  if (what == "lower") return AnswerLower(corpus);
  if (what == "line") return Line(BleuMetric(CorpusBleu(corpus.outputs, corpus.references, {}), {}, corpus.sets()));
  throw UserError("request", "corpus, bleu, chrf, words, lower or line", what);
}

}  // namespace
}  // namespace attend::metrics

int main() {
  std::map<std::string, attend::metrics::Corpus> corpora;
  std::string line;
  while (std::getline(std::cin, line)) {
    nlohmann::json answer;
    try {
      answer = attend::metrics::Answer(nlohmann::json::parse(line), &corpora);
    } catch (const std::exception& error) {
      answer = {{"error", error.what()}};
    }
    std::cout << answer.dump() << std::endl;
  }
}
