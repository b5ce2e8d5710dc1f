// The draws of dropout, per instruction-set target. Include once per target.
#if defined(ATTEND_KERNELS_DROPOUT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTEND_KERNELS_DROPOUT_INL_H_
#undef ATTEND_KERNELS_DROPOUT_INL_H_
#else
#define ATTEND_KERNELS_DROPOUT_INL_H_
#endif

#include <cstring>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attend::kernels::HWY_NAMESPACE {
namespace philox {
namespace hn = hwy::HWY_NAMESPACE;

using U64 = hn::ScalableTag<uint64_t>;
using V = hn::Vec<U64>;
constexpr U64 du;
constexpr int64_t kBlocks = static_cast<int64_t>(hn::MaxLanes(du));  // one Philox counter a 64-bit lane

// The 64-bit product of the lower words of the lanes.
HWY_INLINE V Product(V words, V constant) {
#if HWY_TARGET == HWY_SCALAR
  return hn::Set(du, (hn::GetLane(words) & 0xffffffffu) * hn::GetLane(constant));
#else
  const hn::Repartition<uint32_t, U64> dw;
  return hn::MulEven(hn::BitCast(dw, words), hn::BitCast(dw, constant));
#endif
}

// The upper halves of c0 .. c3 hold garbage between rounds: products and the final mask read the lower halves only.
struct State {
  V c0, c1, c2, c3;
  HWY_INLINE void Round(uint32_t k0, uint32_t k1) {
    const V p0 = Product(c0, hn::Set(du, 0xD2511F53u)), p1 = Product(c2, hn::Set(du, 0xCD9E8D57u));
    c0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p1), c1), hn::Set(du, k0));
    c1 = p1;
    c2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p0), c3), hn::Set(du, k1));
    c3 = p0;
  }
};

// Two vectors of blocks at a time hide the latency of the products.
HWY_INLINE void TwoVectors(uint64_t key, int64_t block, V position, V head, V stream, uint64_t* halves) {
  State a{hn::Iota(du, static_cast<uint64_t>(block)), position, head, stream}, b = a;
  b.c0 = hn::Iota(du, static_cast<uint64_t>(block + kBlocks));
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; round++) {
    a.Round(k0, k1);
    b.Round(k0, k1);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  const V low = hn::Set(du, 0xffffffffu);
  hn::Store(hn::Or(hn::And(a.c0, low), hn::ShiftLeft<32>(a.c1)), du, halves);
  hn::Store(hn::Or(hn::And(b.c0, low), hn::ShiftLeft<32>(b.c1)), du, halves + kBlocks);
  hn::Store(hn::Or(hn::And(a.c2, low), hn::ShiftLeft<32>(a.c3)), du, halves + 2 * kBlocks);
  hn::Store(hn::Or(hn::And(b.c2, low), hn::ShiftLeft<32>(b.c3)), du, halves + 3 * kBlocks);
}

// draws[8 b + i] = Dropout::Draws(key, first + b, position, head, stream)[i] for 0 <= b < blocks.
HWY_INLINE void DrawDropout(uint64_t key, uint32_t position, uint32_t head, uint32_t stream, int64_t first, int64_t blocks,
                            uint16_t* draws) {
  const V p = hn::Set(du, position), h = hn::Set(du, head), s = hn::Set(du, stream);
  HWY_ALIGN uint64_t halves[4 * kBlocks];
  for (int64_t begin = 0; begin < blocks; begin += 2 * kBlocks) {
    TwoVectors(key, first + begin, p, h, s, halves);
    const int64_t n = blocks - begin < 2 * kBlocks ? blocks - begin : 2 * kBlocks;
    for (int64_t b = 0; b < n; b++) {  // a block's sixteen bytes: its lower half, its upper half
      std::memcpy(draws + 8 * (begin + b), halves + b, 8);
      std::memcpy(draws + 8 * (begin + b) + 4, halves + 2 * kBlocks + b, 8);
    }
  }
}

}  // namespace philox
}  // namespace attend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
