#include "attend/search/search.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "attend/search/beam.h"
#include "attend/search/constraints.h"
#include "attend/search/grower.h"
#include "attend/search/sample.h"

namespace attend::search {
namespace {

std::vector<Hypotheses> SearchBeams(Grower& grower, std::span<const Sentence> sentences, const Symbols& symbols,
                                    const SearchOptions& options, bool maps) {
  std::vector<Beam> beams;
  beams.reserve(sentences.size());
  for (size_t i = 0; i < sentences.size(); i++) beams.emplace_back(sentences[i], static_cast<int32_t>(i), symbols, options);
  for (;;) {
    for (Beam& beam : beams)
      if (!beam.done()) beam.AddRows(grower);
    if (grower.empty()) break;
    const StepResult result = grower.Step(beams[0].Width());
    for (Beam& beam : beams)
      if (!beam.done()) beam.Expand(result, grower.history());
  }
  std::vector<Hypotheses> out;
  for (const Beam& beam : beams) out.push_back(beam.Best(grower.history(), maps));
  return out;
}

}  // namespace

std::vector<Hypotheses> Search(Decoder& decoder, std::span<const Sentence> sentences, const Symbols& symbols, const SearchOptions& options,
                               Maps maps) {
  Validate(options);
  CheckPrefixes(sentences, symbols, options);
  Grower grower(decoder, symbols, maps == Maps::none && options.coverage_penalty > 0 ? Maps::summed : maps);
  const bool keep = maps != Maps::none;
  return options.sample ? Sample(grower, sentences, symbols, options, keep) : SearchBeams(grower, sentences, symbols, options, keep);
}

Hypotheses Score(Decoder& decoder, std::span<const Sentence> sentences, std::span<const std::vector<int32_t>> targets,
                 const Symbols& symbols, Maps maps) {
  if (targets.size() != sentences.size())
    throw UserError("search.score", std::to_string(sentences.size()) + " targets, one a sentence", std::to_string(targets.size()));
  for (const std::vector<int32_t>& target : targets)
    for (int32_t id : target)
      if (id < 0 || id == symbols.end) throw UserError("search.score", "targets of ids of words", std::to_string(id));
  Grower grower(decoder, symbols, maps);
  std::vector<Live> live(sentences.size());
  for (size_t i = 0; i < live.size(); i++) live[i].row = static_cast<int32_t>(i);
  for (size_t position = 0;; position++) {
    for (size_t i = 0; i < live.size(); i++)
      if (position <= targets[i].size())
        live[i].row = grower.AddRow(live[i], position < targets[i].size() ? targets[i][position] : symbols.end, {});
    if (grower.empty()) break;
    const StepResult result = grower.Step(1);
    for (size_t i = 0; i < live.size(); i++) {
      if (position > targets[i].size()) continue;
      const auto row = static_cast<size_t>(live[i].row);
      live[i].node = grower.history().Add(live[i].node, result.chosen[row], result.chosen_log_probs[row], live[i].row);
    }
  }
  Hypotheses out;
  for (size_t i = 0; i < live.size(); i++) {
    out.push_back(grower.history().Read(live[i].node, true, sentences[i].source_length, maps != Maps::none));
    out.back().score = out.back().log_prob;
  }
  return out;
}

int MaxLength(const SearchOptions& options, int64_t source_length) {
  const double relative = options.max_ratio * static_cast<double>(std::max<int64_t>(source_length, 0)) + options.max_extra;
  return static_cast<int>(std::min(static_cast<double>(options.max_length), relative));
}

std::string CutNotice(int64_t cut, int64_t outputs, const SearchOptions& options) {
  if (cut == 0) return "";
  char limits[160];
  std::snprintf(limits, sizeof limits, "search.max_length (%d) or search.max_ratio x source + search.max_extra (%g x source + %d)",
                options.max_length, options.max_ratio, options.max_extra);
  return std::to_string(cut) + " of " + std::to_string(outputs) + " outputs did not end before " + limits + " and were cut there";
}

}  // namespace attend::search
