#include "attend/kernels/dropout.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attend/kernels/dropout.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "attend/kernels/dropout-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attend::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void DropoutDraws(uint64_t key, uint32_t position, uint32_t head, uint32_t stream, int64_t blocks, uint16_t* draws) {
  philox::DrawDropout(key, position, head, stream, 0, blocks, draws);
}

void ApplyDropout(const float* x, const uint16_t* draws, int64_t n, uint32_t threshold, float kept, float* y) {
  const hn::ScalableTag<float> df;
  const hn::RebindToSigned<decltype(df)> di;
  const hn::Rebind<uint16_t, decltype(df)> d16;
  const auto scale = hn::Set(df, kept);
  const auto last_dropped = hn::Set(di, static_cast<int32_t>(threshold) - 1);
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(df));
  int64_t j = 0;
  for (; j + lanes <= n; j += lanes) {
    const auto keep = hn::Gt(hn::PromoteTo(di, hn::LoadU(d16, draws + j)), last_dropped);
    hn::StoreU(hn::IfThenElseZero(hn::RebindMask(df, keep), hn::Mul(hn::LoadU(df, x + j), scale)), df, y + j);
  }
  for (; j < n; j++) y[j] = draws[j] >= threshold ? x[j] * kept : 0;
}

}  // namespace attend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attend::kernels {
HWY_EXPORT(DropoutDraws);
HWY_EXPORT(ApplyDropout);

void DropoutDraws(uint64_t key, uint32_t position, uint32_t head, uint32_t stream, int64_t blocks, uint16_t* draws) {
  HWY_DYNAMIC_DISPATCH(DropoutDraws)(key, position, head, stream, blocks, draws);
}
void ApplyDropout(const float* x, const uint16_t* draws, int64_t n, uint32_t threshold, float kept, float* y) {
  HWY_DYNAMIC_DISPATCH(ApplyDropout)(x, draws, n, threshold, kept, y);
}
}  // namespace attend::kernels
#endif
