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
static_assert(kBlocks <= 8);

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
    c0 = hn::Xor3(hn::ShiftRight<32>(p1), c1, hn::Set(du, k0));
    c1 = p1;
    c2 = hn::Xor3(hn::ShiftRight<32>(p0), c3, hn::Set(du, k1));
    c3 = p0;
  }
};

// Two vectors of blocks at a time hide the latency of the products. draws: two numbers a block, its lower half, its upper half.
HWY_INLINE void TwoVectors(uint64_t key, int64_t block, V position, V head, V stream, uint64_t* draws) {
  alignas(64) static constexpr uint64_t kLane[8] = {0, 1, 2, 3, 4, 5, 6, 7};  // hn::Iota() writes its own each time and waits for them
  const V lane = hn::LoadU(du, kLane);
  State a{hn::Add(lane, hn::Set(du, static_cast<uint64_t>(block))), position, head, stream}, b = a;
  b.c0 = hn::Add(lane, hn::Set(du, static_cast<uint64_t>(block + kBlocks)));
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; round++) {
    a.Round(k0, k1);
    b.Round(k0, k1);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  const V low = hn::Set(du, 0xffffffffu);
  const auto both = [=](V first, V second) HWY_ATTR { return hn::Or(hn::And(first, low), hn::ShiftLeft<32>(second)); };
  hn::StoreInterleaved2(both(a.c0, a.c1), both(a.c2, a.c3), du, draws);
  hn::StoreInterleaved2(both(b.c0, b.c1), both(b.c2, b.c3), du, draws + 2 * kBlocks);
}

// draws[8 b + i] = Dropout::Draws(key, first + b, position, head, stream)[i] for 0 <= b < blocks.
HWY_INLINE void DrawDropout(uint64_t key, uint32_t position, uint32_t head, uint32_t stream, int64_t first, int64_t blocks,
                            uint16_t* draws) {
  constexpr int64_t kTogether = 2 * kBlocks;
  const V p = hn::Set(du, position), h = hn::Set(du, head), s = hn::Set(du, stream);
  int64_t begin = 0;
  for (; begin + kTogether <= blocks; begin += kTogether)
    TwoVectors(key, first + begin, p, h, s, reinterpret_cast<uint64_t*>(draws + 8 * begin));
  if (begin == blocks) return;
  HWY_ALIGN uint64_t rest[2 * kTogether];
  TwoVectors(key, first + begin, p, h, s, rest);
  std::memcpy(draws + 8 * begin, rest, static_cast<size_t>(blocks - begin) * 16);
}

}  // namespace philox
}  // namespace attend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
