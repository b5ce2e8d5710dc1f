#pragma once

#include <cstdint>

#include "attend/train/options.h"

namespace attend::train {

// What a plateau schedule remembers; part of the training state.
struct PlateauState {
  double factor = 1;
  int64_t waited = 0;  // validations without improvement since the last reduction
};

// The learning rate of update `step` (from 0). progress in [0, 1]: the largest used fraction of the given limits of the run, so that
// decaying schedules end where the run ends, whichever limit ends it.
double Rate(const TrainOptions& options, int64_t step, double progress, const PlateauState& plateau);

// After a validation.
void Observe(const TrainOptions& options, bool improved, PlateauState& plateau);

}  // namespace attend::train
