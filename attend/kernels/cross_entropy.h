#pragma once

#include <cstdint>

namespace attend::kernels {

// Cross-entropy with label smoothing (Szegedy et al. 2016: the target keeps 1 - s, all classes share s evenly) over rows of logits
// (rows, classes), float32, contiguous. Rows [begin, end) only.
//   nll[i]  = lse_i - logits[i][target]
//   loss[i] = (1 - s) nll[i] + s (lse_i - mean_j logits[i][j])
void CrossEntropyForward(const float* logits, int64_t classes, const int64_t* target, float smoothing, int64_t begin, int64_t end,
                         float* loss, float* nll, float* lse);

// In place: logits[i][j] becomes g_i (softmax_ij - (1 - s) [j = target_i] - s / classes).
void CrossEntropyBackward(float* logits, int64_t classes, const int64_t* target, float smoothing, const float* lse, const float* g,
                          int64_t begin, int64_t end);

}  // namespace attend::kernels
