#include "attend/search/sample.h"

#include <cmath>

#include "attend/kernels/random.h"
#include "attend/search/constraints.h"
#include "attend/search/penalty.h"
#include "attend/search/search.h"

namespace attend::search {
namespace {

struct Path {
  size_t sentence;
  uint64_t key;
  int limit;
  Live live;
  bool complete = false, done = false;
};

// Takes the id drawn for a path of `length` ids.
void Grow(Path& path, int length, const StepResult& result, const Symbols& symbols, History& history) {
  const auto row = static_cast<size_t>(path.live.row);
  const int32_t id = result.chosen[row];
  path.complete = id == symbols.end;
  path.done = path.complete || id < 0 || length >= path.limit;
  if (path.done && !path.complete) return;  // cut
  const float log_prob = result.chosen_log_probs[row];
  path.live = {history.Add(path.live.node, id, log_prob, path.live.row), path.live.row, path.live.log_prob + log_prob};
}

}  // namespace

std::vector<Hypotheses> Sample(Grower& grower, std::span<const Sentence> sentences, const Symbols& symbols, const SearchOptions& options,
                               bool maps) {
  std::vector<Path> paths;
  for (size_t s = 0; s < sentences.size(); s++)
    for (int n = 0; n < options.nbest; n++)
      paths.push_back({s,
                       random::RowKey(static_cast<uint64_t>(options.seed), random::Purpose("search:sample"), static_cast<uint64_t>(n),
                                      static_cast<uint64_t>(sentences[s].example)),
                       MaxLength(options, sentences[s].source_length),
                       {-1, static_cast<int32_t>(s), 0}});
  for (int length = 0;; length++) {
    Sampling sampling;
    sampling.temperature = options.temperature;
    sampling.top_k = options.top_k;
    sampling.top_p = options.top_p;
    sampling.position = static_cast<uint32_t>(length);
    for (Path& path : paths) {
      if (path.done) continue;
      const std::vector<int32_t>& prefix = sentences[path.sentence].prefix;
      const int32_t forced = static_cast<size_t>(length) < prefix.size() ? prefix[static_cast<size_t>(length)] : -1;
      path.live.row = grower.AddRow(
          path.live, forced, forced >= 0 ? std::vector<int32_t>{} : Forbidden(grower.history().Tokens(path.live.node), symbols, options));
      sampling.row_keys.push_back(path.key);
    }
    if (grower.empty()) break;
    const StepResult result = grower.Step(1, sampling);
    for (Path& path : paths)
      if (!path.done) Grow(path, length, result, symbols, grower.history());
  }
  std::vector<Hypotheses> out(sentences.size());
  for (const Path& path : paths) {
    const int64_t source = sentences[path.sentence].source_length;
    Hypothesis h = grower.history().Read(path.live.node, path.complete, source, maps);
    h.score = h.log_prob / LengthDivisor(options, static_cast<int>(h.log_probs.size()));
    if (options.coverage_penalty > 0) h.score += CoveragePenalty(options, grower.history().Coverage(path.live.node, source));
    out[path.sentence].push_back(std::move(h));
  }
  return out;
}

}  // namespace attend::search
