#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "attend/config/source.h"
#include "attend/metrics/alignment_error.h"
#include "attend/metrics/bleu.h"
#include "attend/metrics/metric.h"
#include "attend/report/attention_map.h"
#include "attend/search/options.h"

// What commands know of the part that needs torch: plain values and three interfaces, so that the program starts without it.
namespace attend::tasks {

struct Machine {
  int threads = 0;  // 0: all cores
  std::string device = "cpu";
};

struct TrainRequest {
  config::Source source;  // options of the run
  std::string out;        // the model directory
  bool restart = false;   // begin anew, whatever lies there
  bool extend = false;    // go on with a finished run, under larger limits
  Machine machine;
};

// One output of one input line.
struct Output {
  std::string text;
  double score = 0;      // after length and coverage penalty
  double log_prob = 0;   // natural logarithm
  bool complete = true;  // false: cut at the greatest length
  std::vector<std::string> pieces;
  std::vector<float> piece_log_probs;      // of each piece and, when complete, of the end symbol
  std::vector<metrics::Link> alignment;    // between white-space separated words; when asked for
  std::vector<report::AttentionMap> maps;  // when asked for
};

struct PredictRequest {
  search::SearchOptions search;
  std::vector<std::string> prefixes;  // raw text that each output starts with, or empty
  int64_t first_line = 0;             // number of the first line in the whole input: keys the draws of sampling
  bool alignments = false;
  bool maps = false;
};

struct Evaluation {
  std::vector<metrics::Metric> metrics;
  std::vector<std::string> outputs;
};

struct EvaluateRequest {
  search::SearchOptions search;
  metrics::BleuOptions bleu;
  std::vector<std::string> gold_alignments;  // a line each, or empty
};

struct GenerateRequest {
  std::string prompt;
  int64_t tokens = 200;  // the most that are written
  double temperature = 1;
  int top_k = 0;     // 0: no cut
  double top_p = 1;  // 1: no cut
  int64_t seed = 1;
  int64_t number = 0;  // of this continuation: others under one seed are other draws
  bool maps = false;
};

// A trained model in use. Not thread-safe: it shares its work among its own threads. What a task does not do is a UserError.
class Predictor {
 public:
  virtual ~Predictor() = default;
  virtual std::string_view task() const = 0;
  // Does it go on with a text, instead of turning lines into lines?
  virtual bool continues() const { return false; }
  virtual void ExpectContinues(std::string_view part) const;  // UserError
  // For every line its outputs, best first; an empty line has one empty output. notices: lines for the user (on stderr).
  virtual std::vector<std::vector<Output>> Predict(std::span<const std::string> lines, const PredictRequest& request,
                                                   std::vector<std::string>& notices);
  // The log-probability of given outputs, with their maps and alignments when asked for.
  virtual std::vector<Output> Score(std::span<const std::string> lines, std::span<const std::string> references, bool alignments,
                                    bool maps);
  virtual Evaluation Evaluate(std::span<const std::string> lines, std::span<const std::string> references, const EvaluateRequest& request,
                              std::vector<std::string>& notices);

  // Goes on with a text; write, where there is one, is called with each new part of it, whole characters. The result's pieces, maps and
  // log-probabilities are those of the prompt and what was written, of a long text those of its end.
  virtual Output Generate(const GenerateRequest& request, const std::function<void(std::string_view)>& write);
  // How well the model foretells a text.
  virtual std::vector<metrics::Metric> EvaluateText(std::string_view text);
};

class Runtime {
 public:
  virtual ~Runtime() = default;
  // Trains; progress goes to stderr. True when the run finished, false when it was interrupted and can be resumed.
  virtual bool Train(const TrainRequest& request) = 0;
  virtual std::unique_ptr<Predictor> Load(const std::string& model, const Machine& machine) = 0;
  // Mean of the weights of several models of one configuration, written as a model directory.
  virtual void Average(std::span<const std::string> models, const std::string& out) = 0;
  // "torch 2.13.0+cpu", "matrix products: …": for `attend version`.
  virtual std::vector<std::string> Facts(const Machine& machine) = 0;
};

// The symbol that libattend_torch exports.
using RuntimeFactory = Runtime* (*)();
inline constexpr const char* kRuntimeSymbol = "attend_runtime";

}  // namespace attend::tasks
