#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "attend/search/decoder.h"
#include "attend/search/history.h"
#include "attend/search/hypothesis.h"

namespace attend::search {

// A hypothesis that is still growing.
struct Live {
  int32_t node = -1;  // its last token in the history; -1: none yet
  int32_t row = 0;    // of the previous step
  double log_prob = 0;
};

// One step of a batch of growing hypotheses: the request for them is gathered row by row, then sent.
class Grower {
 public:
  Grower(Decoder& decoder, const Symbols& symbols, Maps maps) : decoder_(decoder), symbols_(symbols) { request_.maps = maps; }

  // The next row continues `live`; returns its number. `forced` -1: any id that is not forbidden.
  int32_t AddRow(const Live& live, int32_t forced, std::vector<int32_t> forbidden);
  // Sends the rows and starts afresh. Throws SystemError when the result has another shape or holds NaN.
  StepResult Step(int k, const std::optional<Sampling>& sampling = {});

  bool empty() const { return parents_.empty(); }
  History& history() { return history_; }

 private:
  void Check(const StepResult& result, int k) const;

  Decoder& decoder_;
  const Symbols& symbols_;
  History history_;
  StepRequest request_;
  std::vector<int32_t> parents_, tokens_;
  int64_t steps_ = 0;
};

}  // namespace attend::search
