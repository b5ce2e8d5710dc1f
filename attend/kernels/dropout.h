#pragma once

#include <cstdint>

#include "attend/kernels/random.h"

namespace attend::kernels {

// The draws of random::Dropout for a run of elements: draws[8 b + i] = Dropout::Draws(key, b, position, head, stream)[i] for
// 0 <= b < blocks. The same bits on every instruction set.
void DropoutDraws(uint64_t key, uint32_t position, uint32_t head, uint32_t stream, int64_t blocks, uint16_t* draws);

// y[j] = x[j] kept where draws[j] is not below the threshold, else 0 (also where x[j] is NaN). x may be y.
void ApplyDropout(const float* x, const uint16_t* draws, int64_t n, uint32_t threshold, float kept, float* y);

}  // namespace attend::kernels
