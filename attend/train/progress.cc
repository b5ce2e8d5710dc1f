#include "attend/train/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>

namespace attend::train {
namespace {

std::string Format(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

std::string Text(const Standing& s) {
  std::string line = "epoch " + Format("%.2f", static_cast<double>(s.epoch) + s.epoch_fraction) + "  step " + std::to_string(s.step) +
                     "  loss " + Format("%.3f", s.loss) + "  ppl " + Format("%.1f", std::exp(std::min(s.loss, 80.0))) + "  " +
                     Format("%.0f", s.tokens_per_second) + " tok/s  rate " + Format("%.2g", s.rate);
  if (s.seconds_left >= 0) line += "  " + Duration(s.seconds_left) + " left";
  return line;
}

// What fits on one line of the terminal: a longer one could not be rewritten.
size_t Columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - size_t{1} : std::string::npos;
}

}  // namespace

double Seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::string Duration(double seconds) {
  const auto s = static_cast<int64_t>(std::max(0.0, seconds) + 0.5);
  char text[32];
  if (s >= 3600)
    std::snprintf(text, sizeof(text), "%d:%02d:%02d", static_cast<int>(s / 3600), static_cast<int>(s / 60 % 60), static_cast<int>(s % 60));
  else
    std::snprintf(text, sizeof(text), "%d:%02d", static_cast<int>(s / 60), static_cast<int>(s % 60));
  return text;
}

Progress::Progress(bool terminal) : terminal_(terminal) {}
Progress::~Progress() { Clear(); }
bool Progress::StderrIsTerminal() { return isatty(STDERR_FILENO) == 1; }

void Progress::Clear() {
  if (live_) std::fputs("\r\033[K", stderr);
  live_ = false;
}

void Progress::Update(const Standing& standing) {
  if (!terminal_) return;
  const double now = Seconds();
  if (now - last_ < 0.1) return;
  last_ = now;
  std::fprintf(stderr, "\r\033[K%s", Text(standing).substr(0, Columns()).c_str());
  std::fflush(stderr);
  live_ = true;
}

void Progress::Log(const Standing& standing) {
  if (terminal_) return Update(standing);
  std::fprintf(stderr, "%s\n", Text(standing).c_str());
}

void Progress::Note(const std::string& line) {
  Clear();
  std::fprintf(stderr, "%s\n", line.c_str());
}

void Progress::Validated(const Standing& standing, const Validation& v, bool improved) {
  std::string line = "validation at step " + std::to_string(standing.step) + ": perplexity " + Format("%.2f", v.perplexity);
  for (const metrics::Metric& m : v.metrics)
    if (m.kind != metrics::MetricKind::perplexity) line += "  " + m.name + " " + Format(m.value > 1 ? "%.2f" : "%.4f", m.value);
  if (v.attention_entropy >= 0) line += "  attention entropy " + Format("%.2f", v.attention_entropy);
  Note(line + (improved ? "  (best so far)" : ""));
  for (const Sample& s : v.samples) Note("  source    " + s.source + "\n  output    " + s.output + "\n  reference " + s.reference);
}

}  // namespace attend::train
