#include "attend/kernels/scores/additive.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attend/kernels/scores/additive.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "attend/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attend::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void AdditiveScoresOf(const float* q, const float* k, const float* v, int64_t keys, int64_t dim, float* s) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> one;
  const int64_t n = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t j = 0; j < keys; j++, k += dim) {
    auto sum = hn::Zero(d);
    auto rest = hn::Zero(one);
    int64_t i = 0;
    for (; i + n <= dim; i += n) sum = hn::MulAdd(hn::LoadU(d, v + i), Tanh(d, hn::Add(hn::LoadU(d, q + i), hn::LoadU(d, k + i))), sum);
    for (; i < dim; i++) rest = hn::MulAdd(hn::LoadU(one, v + i), Tanh(one, hn::Add(hn::LoadU(one, q + i), hn::LoadU(one, k + i))), rest);
    s[j] = hn::GetLane(hn::SumOfLanes(d, sum)) + hn::GetLane(rest);
  }
}

void AdditiveGradientsOf(const float* q, const float* k, const float* v, const float* ds, int64_t keys, int64_t dim, float* dq, float* dk,
                         float* dv) {
  for (int64_t j = 0; j < keys; j++, k += dim, dk += dim) {
    const float g = ds[j];
    if (g == 0) continue;
    Lanes(dim, [=](auto d, int64_t i) HWY_ATTR {
      const auto t = Tanh(d, hn::Add(hn::LoadU(d, q + i), hn::LoadU(d, k + i)));
      const auto scale = hn::Set(d, g);
      const auto h = hn::Mul(hn::Mul(scale, hn::LoadU(d, v + i)), hn::NegMulAdd(t, t, hn::Set(d, 1.0f)));
      hn::StoreU(hn::MulAdd(scale, t, hn::LoadU(d, dv + i)), d, dv + i);
      hn::StoreU(hn::Add(h, hn::LoadU(d, dq + i)), d, dq + i);
      hn::StoreU(hn::Add(h, hn::LoadU(d, dk + i)), d, dk + i);
    });
  }
}

}  // namespace attend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attend::kernels {
HWY_EXPORT(AdditiveScoresOf);
HWY_EXPORT(AdditiveGradientsOf);

void AdditiveScores(const float* q, const float* k, const float* v, int64_t keys, int64_t dim, float* s) {
  HWY_DYNAMIC_DISPATCH(AdditiveScoresOf)(q, k, v, keys, dim, s);
}
void AdditiveGradients(const float* q, const float* k, const float* v, const float* ds, int64_t keys, int64_t dim, float* dq, float* dk,
                       float* dv) {
  HWY_DYNAMIC_DISPATCH(AdditiveGradientsOf)(q, k, v, ds, keys, dim, dq, dk, dv);
}
}  // namespace attend::kernels
#endif
