#pragma once

#include <cstdint>
#include <vector>

#include "attend/search/grower.h"
#include "attend/search/hypothesis.h"
#include "attend/search/options.h"

namespace attend::search {

// The beam of one sentence; Search (search.h) says by which rules it grows and stops.
class Beam {
 public:
  // `row`: of the decoder's batch. All references must outlive the beam.
  Beam(const Sentence& sentence, int32_t row, const Symbols& symbols, const SearchOptions& options);

  bool done() const { return live_.empty() || complete_.size() >= enough_; }
  // How many ids of each row Expand must see: one more than the beam, for the end symbol may be among them.
  int Width() const { return options_.beam == 1 && enough_ == 1 ? 1 : options_.beam + 1; }
  void AddRows(Grower& grower);
  void Expand(const StepResult& result, History& history);
  Hypotheses Best(const History& history, bool maps) const;

 private:
  struct Candidate {
    double log_prob;  // of the hypothesis with this id
    int32_t id;
    size_t parent;  // in parents
    float id_log_prob;
  };
  struct Ended {
    int32_t node;
    double score;
  };
  std::vector<Candidate> Candidates(const StepResult& result, const std::vector<Live>& parents) const;
  double Score(const History& history, int32_t node, double log_prob, int length) const;
  void Prune();

  const Sentence& sentence_;
  const Symbols& symbols_;
  const SearchOptions& options_;
  const int limit_;              // greatest number of ids
  const size_t enough_;          // complete hypotheses at which the search stops
  int length_ = 0;               // ids of each live hypothesis
  std::vector<Live> live_;       // best first
  std::vector<Ended> complete_;  // best first
  std::vector<Ended> cut_;       // in the order of their end
};

}  // namespace attend::search
