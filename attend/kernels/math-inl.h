// Vector mathematics of the kernels, per instruction-set target. Include inside HWY_BEFORE_NAMESPACE, once per target.
#if defined(ATTEND_KERNELS_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTEND_KERNELS_MATH_INL_H_
#undef ATTEND_KERNELS_MATH_INL_H_
#else
#define ATTEND_KERNELS_MATH_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attend::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Calls f(d, offset) over [0, size) in whole vectors, then once with a one-lane tag per remaining element.
template <class F>
HWY_INLINE void Lanes(int64_t size, const F& f) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> one;
  const int64_t n = static_cast<int64_t>(hn::Lanes(d));
  int64_t j = 0;
  for (; j + n <= size; j += n) f(d, j);
  for (; j < size; j++) f(one, j);
}

// x limited to [low, high]; NaN stays NaN.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Clamp(D d, V x, float low, float high) {
  const V least = hn::Set(d, low), most = hn::Set(d, high);
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
  return hn::Min(most, hn::Max(least, x));  // of two operands, x86 takes the second when one is NaN
#else
  return hn::IfThenElse(hn::Lt(x, least), least, hn::IfThenElse(hn::Gt(x, most), most, x));
#endif
}

// e^x for float, within 2 ulp on [-87, 88]; below -87 it is e^-87 (1.6e-38), above 88 e^88. NaN stays NaN.
// 2^n by an integer add to the exponent, the rest by the minimax polynomial of degree 6 on [-ln2/2, ln2/2] (Cephes expf).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Exp(D d, V x) {
  const hn::RebindToSigned<D> di;
  x = Clamp(d, x, -87.0f, 88.0f);
  const V magic = hn::Set(d, 12582912.0f);  // 1.5 * 2^23: rounds to an integer in the low bits
  const V t = hn::MulAdd(x, hn::Set(d, 1.44269504088896341f), magic);
  const V n = hn::Sub(t, magic);
  V r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
  V p = hn::Set(d, 1.9875691500e-4f);
  p = hn::MulAdd(p, r, hn::Set(d, 1.3981999507e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 8.3334519073e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 4.1665795894e-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.6666665459e-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 5.0000001201e-1f));
  p = hn::MulAdd(hn::Mul(p, r), r, hn::Add(r, hn::Set(d, 1.0f)));
  const auto bits = hn::ShiftLeft<23>(hn::BitCast(di, t));
  return hn::BitCast(d, hn::Add(hn::BitCast(di, p), bits));
}

// 1 / (1 + e^-x): absolute error below 2e-7.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Sigmoid(D d, V x) {
  const V one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, Exp(d, hn::Neg(x))));
}

// tanh x = 1 - 2 / (1 + e^2x): absolute error below 2e-7.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Tanh(D d, V x) {
  const V one = hn::Set(d, 1.0f), two = hn::Set(d, 2.0f);
  return hn::NegMulAdd(two, hn::Div(one, hn::Add(one, Exp(d, hn::Mul(two, x)))), one);
}

}  // namespace attend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
