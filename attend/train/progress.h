#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attend/metrics/metric.h"

namespace attend::train {

// One sentence of the validation text as the model renders it now.
struct Sample {
  std::string source, output, reference;
};

// What a validation found.
struct Validation {
  double perplexity = 0;
  std::vector<metrics::Metric> metrics;
  double selected = 0;            // the value of the metric that chooses
  double attention_entropy = -1;  // mean over target tokens, nats; below 0: no attention
  std::vector<Sample> samples;
};

// Where a run stands, for the line on the terminal.
struct Standing {
  int64_t epoch = 0, step = 0;
  double epoch_fraction = 0;  // of the current epoch
  double loss = 0;            // negative log-likelihood a token, since the last line
  double tokens_per_second = 0;
  double rate = 0;           // learning rate
  double seconds_left = -1;  // below 0: unknown
};

// Prints to stderr: on a terminal one line that is rewritten, elsewhere plain lines; notices and validations on lines of their own.
class Progress {
 public:
  explicit Progress(bool terminal);
  ~Progress();
  static bool StderrIsTerminal();

  void Update(const Standing& standing);  // on a terminal at most ten times a second
  void Log(const Standing& standing);     // the line for files; on a terminal the same as Update
  void Note(const std::string& line);
  void Validated(const Standing& standing, const Validation& validation, bool improved);

 private:
  void Clear();
  bool terminal_, live_ = false;
  double last_ = 0;
};

double Seconds();  // of a steady clock
// "1:02:03", "4:05"
std::string Duration(double seconds);

}  // namespace attend::train
