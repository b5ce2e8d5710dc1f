#include "attend/search/beam.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "attend/search/constraints.h"
#include "attend/search/penalty.h"
#include "attend/search/search.h"

namespace attend::search {
namespace {

size_t Enough(const SearchOptions& options) {
  if (options.patience == 0) return std::numeric_limits<size_t>::max();
  return std::max(static_cast<size_t>(options.nbest), static_cast<size_t>(std::ceil(options.patience * options.beam)));
}

}  // namespace

Beam::Beam(const Sentence& sentence, int32_t row, const Symbols& symbols, const SearchOptions& options)
    : sentence_(sentence),
      symbols_(symbols),
      options_(options),
      limit_(MaxLength(options, sentence.source_length)),
      enough_(Enough(options)),
      live_{{-1, row, 0}} {}

void Beam::AddRows(Grower& grower) {
  const auto position = static_cast<size_t>(length_);
  const int32_t forced = position < sentence_.prefix.size() ? sentence_.prefix[position] : -1;
  for (Live& live : live_)
    live.row = grower.AddRow(live, forced,
                             forced >= 0 ? std::vector<int32_t>{} : Forbidden(grower.history().Tokens(live.node), symbols_, options_));
}

std::vector<Beam::Candidate> Beam::Candidates(const StepResult& result, const std::vector<Live>& parents) const {
  std::vector<Candidate> out;
  const auto k = static_cast<size_t>(result.k);
  for (size_t b = 0; b < parents.size(); b++) {
    const size_t row = static_cast<size_t>(parents[b].row);
    for (size_t j = row * k; j < (row + 1) * k; j++)
      if (result.ids[j] >= 0 && std::isfinite(result.log_probs[j]))
        out.push_back({parents[b].log_prob + result.log_probs[j], result.ids[j], b, result.log_probs[j]});
  }
  const auto better = [](const Candidate& a, const Candidate& b) {
    if (a.log_prob != b.log_prob) return a.log_prob > b.log_prob;
    return a.id != b.id ? a.id < b.id : a.parent < b.parent;
  };
  // Of 2 beam candidates at most beam are end symbols, one a parent.
  const auto count = std::min(out.size(), 2 * static_cast<size_t>(options_.beam));
  std::partial_sort(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(count), out.end(), better);
  out.resize(count);
  return out;
}

void Beam::Expand(const StepResult& result, History& history) {
  const std::vector<Live> parents = std::exchange(live_, {});
  if (static_cast<size_t>(length_) < sentence_.prefix.size()) {
    const Live& only = parents[0];
    const auto row = static_cast<size_t>(only.row);
    const float log_prob = result.chosen_log_probs[row];
    live_.push_back({history.Add(only.node, result.chosen[row], log_prob, only.row), only.row, only.log_prob + log_prob});
    length_++;
    return;
  }
  const auto beam = static_cast<size_t>(options_.beam);
  const std::vector<Candidate> candidates = Candidates(result, parents);
  std::vector<bool> ended(parents.size(), false);
  for (size_t rank = 0; rank < candidates.size(); rank++) {
    const Candidate& c = candidates[rank];
    const Live& parent = parents[c.parent];
    if (c.id == symbols_.end) {
      if (rank >= beam) continue;
      const int32_t node = history.Add(parent.node, c.id, c.id_log_prob, parent.row);
      complete_.push_back({node, Score(history, node, c.log_prob, length_ + 1)});
      ended[c.parent] = true;
    } else if (length_ < limit_ && live_.size() < beam) {
      live_.push_back({history.Add(parent.node, c.id, c.id_log_prob, parent.row), parent.row, c.log_prob});
    }
  }
  // What can neither end here nor grow is cut: at the limit, or when every id is forbidden.
  for (size_t b = 0; b < parents.size(); b++)
    if (!ended[b] && (length_ >= limit_ || live_.empty()))
      cut_.push_back({parents[b].node, Score(history, parents[b].node, parents[b].log_prob, length_)});
  length_++;
  std::stable_sort(complete_.begin(), complete_.end(), [](const Ended& a, const Ended& b) { return a.score > b.score; });
  Prune();
}

double Beam::Score(const History& history, int32_t node, double log_prob, int length) const {
  double score = log_prob / LengthDivisor(options_, length);
  if (options_.coverage_penalty > 0) score += CoveragePenalty(options_, history.Coverage(node, sentence_.source_length));
  return score;
}

void Beam::Prune() {
  const auto n = static_cast<size_t>(options_.nbest);
  if (complete_.size() < n) return;
  const double worst = complete_[n - 1].score;
  std::erase_if(live_, [&](const Live& live) { return ScoreBound(options_, live.log_prob, limit_ + 1) <= worst; });
}

Hypotheses Beam::Best(const History& history, bool maps) const {
  std::vector<Ended> cut = cut_;
  std::stable_sort(cut.begin(), cut.end(), [](const Ended& a, const Ended& b) { return a.score > b.score; });
  Hypotheses out;
  const auto add = [&](const std::vector<Ended>& ended, bool complete) {
    for (const Ended& e : ended) {
      if (out.size() == static_cast<size_t>(options_.nbest)) return;
      out.push_back(history.Read(e.node, complete, sentence_.source_length, maps));
      out.back().score = e.score;
    }
  };
  add(complete_, true);
  add(cut, false);
  return out;
}

}  // namespace attend::search
