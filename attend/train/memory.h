#pragma once

#include <cstdint>

#include "attend/train/trainer.h"

namespace attend::train {

// The memory that this process will take in training, in bytes that no file holds: what it has by now, with the state of an optimiser;
// copies of the weights by count; what a pass forward and backward over a part of `batch` was seen to hold at most, for the whole of it;
// and the blocks that are kept for the next tensors (ops/tensor_memory.h). Without validations, whose
// batches are no larger. Changes nothing in the task.
int64_t EstimateMemory(Trainable& task, const TrainOptions& options, const data::Batch& batch, int workers);

}  // namespace attend::train
