#include "attend/kernels/cross_entropy.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attend/kernels/cross_entropy.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "attend/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attend::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void ForwardRows(const float* logits, int64_t classes, const int64_t* target, float smoothing, int64_t begin, int64_t end, float* loss,
                 float* nll, float* lse) {
  const hn::ScalableTag<float> d;
  const int64_t n = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = begin; i < end; i++) {
    const float* row = logits + i * classes;
    auto vmax = hn::Set(d, -INFINITY), vsum = hn::Zero(d);
    int64_t j = 0;
    for (; j + n <= classes; j += n) {
      const auto x = hn::LoadU(d, row + j);
      vmax = hn::Max(vmax, x);
      vsum = hn::Add(vsum, x);
    }
    float top = hn::GetLane(hn::MaxOfLanes(d, vmax)), sum = hn::GetLane(hn::SumOfLanes(d, vsum));
    for (; j < classes; j++) {
      top = row[j] > top ? row[j] : top;
      sum += row[j];
    }
    const auto shift = hn::Set(d, top);
    auto vexp = hn::Zero(d);
    for (j = 0; j + n <= classes; j += n) vexp = hn::Add(vexp, Exp(d, hn::Sub(hn::LoadU(d, row + j), shift)));
    float total = hn::GetLane(hn::SumOfLanes(d, vexp));
    for (; j < classes; j++) total += std::exp(row[j] - top);
    lse[i] = top + std::log(total);
    nll[i] = lse[i] - row[target[i]];
    loss[i] = (1 - smoothing) * nll[i] + smoothing * (lse[i] - sum / static_cast<float>(classes));
  }
}

void BackwardRows(float* logits, int64_t classes, const int64_t* target, float smoothing, const float* lse, const float* g, int64_t begin,
                  int64_t end) {
  const hn::ScalableTag<float> d;
  const int64_t n = static_cast<int64_t>(hn::Lanes(d));
  const float even = smoothing / static_cast<float>(classes);
  for (int64_t i = begin; i < end; i++) {
    float* row = logits + i * classes;
    const auto shift = hn::Set(d, lse[i]), scale = hn::Set(d, g[i]), share = hn::Set(d, even);
    int64_t j = 0;
    for (; j + n <= classes; j += n) hn::StoreU(hn::Mul(scale, hn::Sub(Exp(d, hn::Sub(hn::LoadU(d, row + j), shift)), share)), d, row + j);
    for (; j < classes; j++) row[j] = g[i] * (std::exp(row[j] - lse[i]) - even);
    row[target[i]] -= g[i] * (1 - smoothing);
  }
}

}  // namespace attend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attend::kernels {
HWY_EXPORT(ForwardRows);
HWY_EXPORT(BackwardRows);

void CrossEntropyForward(const float* logits, int64_t classes, const int64_t* target, float smoothing, int64_t begin, int64_t end,
                         float* loss, float* nll, float* lse) {
  HWY_DYNAMIC_DISPATCH(ForwardRows)(logits, classes, target, smoothing, begin, end, loss, nll, lse);
}
void CrossEntropyBackward(float* logits, int64_t classes, const int64_t* target, float smoothing, const float* lse, const float* g,
                          int64_t begin, int64_t end) {
  HWY_DYNAMIC_DISPATCH(BackwardRows)(logits, classes, target, smoothing, lse, g, begin, end);
}
}  // namespace attend::kernels
#endif
