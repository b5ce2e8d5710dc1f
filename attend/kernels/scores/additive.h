#pragma once

#include <cstdint>

namespace attend::kernels {

// The additive score of one query (Bahdanau et al. 2015), tanh never stored. All float32; q and v (D); k (keys, D) contiguous.

// s_j = sum_d v_d tanh(q_d + k_jd). s (keys). Absolute error of tanh below 2e-7.
void AdditiveScores(const float* q, const float* k, const float* v, int64_t keys, int64_t dim, float* s);

// From ds (keys), with t = tanh(q_d + k_jd): adds dv_d += ds_j t, and with h = ds_j v_d (1 - t^2): dq_d += h, dk_jd += h.
// A key with ds_j == 0 is not read.
void AdditiveGradients(const float* q, const float* k, const float* v, const float* ds, int64_t keys, int64_t dim, float* dq, float* dk,
                       float* dv);

}  // namespace attend::kernels
