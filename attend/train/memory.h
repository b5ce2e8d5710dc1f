#pragma once

#include <cstdint>

#include "attend/train/trainer.h"

namespace attend::train {

// The memory that training will take, in bytes: weights and their copies by count, and what a pass forward and backward over a part of
// `batch` was seen to hold at most, for the whole of it. Changes nothing in the task.
int64_t EstimateMemory(Trainable& task, const TrainOptions& options, const data::Batch& batch, int workers);

}  // namespace attend::train
