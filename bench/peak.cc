// Measures what the machine's own arithmetic can reach, in loops that touch no memory: what the speed benchmarks compare with.
//
//   peak [THREADS...]   for each number of threads (1 and 2 unless said) that run at once:
//                       clock_ghz    a thread's clock, by a chain of integer additions, one a cycle
//                       fp32_gflops  fused multiply-adds in single precision, of all threads together
//                       bf16_gflops  multiply-adds of bfloat16 pairs into single precision: vdpbf16ps, or widened where the CPU lacks it
// Prints JSON. Every loop counts in its arithmetic, and the count must come out to the last bit.
#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/peak.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attend::bench::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
constexpr hn::ScalableTag<float> df;
constexpr hn::RebindToUnsigned<decltype(df)> du;
using V = hn::Vec<decltype(df)>;
using U = hn::Vec<decltype(du)>;

// Independent sums: enough to hide the latency of a multiply-add, few enough for the registers. g++ 12 spills 24 of them around the asm.
constexpr int kSums = HWY_CAP_GE512 ? 16 : 12;
constexpr int64_t kSteps = int64_t{1} << 16;  // kSums + kSteps is exact in single precision

// Runs `step(sum, i)`, which adds 1, kSteps times on each of the sums, the i-th of which begins with i. Returns how often in all, 0 where
// a sum is not what it must be.
template <class Step>
HWY_INLINE int64_t Count(const Step& step) {
  V sums[kSums];
#pragma GCC unroll 32
  for (int i = 0; i < kSums; i++) sums[i] = hn::Set(df, static_cast<float>(i));
  for (int64_t k = 0; k < kSteps; k++) {
#pragma GCC unroll 32
    for (int i = 0; i < kSums; i++) step(sums[i], i);
  }
  bool right = true;
#pragma GCC unroll 32
  for (int i = 0; i < kSums; i++) right = right && hn::AllTrue(df, hn::Eq(sums[i], hn::Set(df, static_cast<float>(i + kSteps))));
  return right ? kSteps * kSums * static_cast<int64_t>(hn::Lanes(df)) : 0;
}

// Each returns the operations done, 0 after a wrong result. `one` is 1, which the compiler must not know.
int64_t Fp32(float one) {
  const V factor = hn::Set(df, one);
  return 2 * Count([&](V& sum, int) HWY_ATTR { sum = hn::MulAdd(sum, factor, factor); });
}

int64_t Bf16Widened(float one) {
  U pairs = hn::Set(du, one == 1 ? 0x3F803F80u : 0);  // (1, 1)
  const U upper = hn::Set(du, 0xFFFF0000u), same = hn::Set(du, one == 1 ? 0 : 1u);
  const V half = hn::Set(df, one / 2);
  V first = half, second = half;
  return 4 * Count([&](V& sum, int i) HWY_ATTR {
           if (i == 0) {  // a vector of pairs is widened once and serves all sums, as in the tile of a matrix product
             pairs = hn::Xor(pairs, same);
             first = hn::BitCast(df, hn::ShiftLeft<16>(pairs));
             second = hn::BitCast(df, hn::And(pairs, upper));
           }
           sum = hn::MulAdd(first, half, hn::MulAdd(second, half, sum));
         });
}

#if HWY_TARGET == HWY_AVX3
int64_t Bf16Instruction(float one) {
  const U ones = hn::Set(du, one == 1 ? 0x3F803F80u : 0), halves = hn::Set(du, one == 1 ? 0x3F003F00u : 0);
  return 4 * Count([&](V& sum, int) HWY_ATTR { asm("vdpbf16ps %2, %1, %0" : "+v"(sum.raw) : "v"(ones.raw), "v"(halves.raw)); });
}
int64_t Bf16(float one) { return __builtin_cpu_supports("avx512bf16") ? Bf16Instruction(one) : Bf16Widened(one); }
#else
int64_t Bf16(float one) { return Bf16Widened(one); }
#endif

int64_t Target() { return HWY_TARGET; }

}  // namespace attend::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attend::bench {
HWY_EXPORT(Fp32);
HWY_EXPORT(Bf16);
HWY_EXPORT(Target);

namespace {

constexpr int64_t kChain = int64_t{1} << 18;

// Cycles: each addition waits for the one before it.
int64_t Chain(float one) {
  const uint64_t step = static_cast<uint64_t>(one);
  uint64_t sum = 0;
  for (int64_t k = 0; k < kChain; k += 64) {
#pragma GCC unroll 64
    for (int i = 0; i < 64; i++) {
      sum += step;
      asm("" : "+r"(sum));  // it is seen here, so that additions are not joined
    }
  }
  return sum == static_cast<uint64_t>(kChain) ? kChain : 0;
}

using Loop = int64_t (*)(float one);
constexpr std::chrono::milliseconds kPass{20};

// What `threads` that run the loop at once do in a second, all together.
double Rate(int threads, Loop loop) {
  std::barrier start(threads);
  std::vector<double> rates(static_cast<size_t>(threads));
  std::atomic<bool> wrong = false;
  std::vector<std::jthread> running;
  for (double& rate : rates)
    running.emplace_back([&] {
      volatile float one = 1;
      start.arrive_and_wait();
      const auto begin = std::chrono::steady_clock::now();
      std::chrono::duration<double> passed{};
      int64_t done = 0;
      while (passed < kPass) {
        const int64_t more = loop(one);
        if (!more) wrong = true;
        done += more;
        passed = std::chrono::steady_clock::now() - begin;
      }
      rate = static_cast<double>(done) / passed.count();
    });
  running.clear();  // joins
  if (wrong) throw std::runtime_error("expected each loop to count its steps; found another sum");
  double sum = 0;
  for (const double rate : rates) sum += rate;
  return sum;
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

// The loops take turns, so that a drift of the clock meets all of them.
nlohmann::json Measure(int threads) {
  const Loop loops[] = {Chain, [](float one) { return HWY_DYNAMIC_DISPATCH(Fp32)(one); },
                        [](float one) { return HWY_DYNAMIC_DISPATCH(Bf16)(one); }};
  std::vector<double> rates[3];
  for (int pass = 0; pass < 5; pass++)
    for (int l = 0; l < 3; l++) rates[l].push_back(Rate(threads, loops[l]) / 1e9);
  return {{"threads", threads},
          {"clock_ghz", Median(rates[0]) / threads},
          {"fp32_gflops", Median(rates[1])},
          {"bf16_gflops", Median(rates[2])}};
}

}  // namespace

nlohmann::json MeasureAll(const std::vector<std::string>& counts) {
  nlohmann::json results = nlohmann::json::array();
  for (const std::string& count : counts) {
    const int threads = std::atoi(count.c_str());
    if (threads < 1) throw std::runtime_error("expected numbers of threads from 1 on; found " + count);
    results.push_back(Measure(threads));
  }
  return {{"target", hwy::TargetName(HWY_DYNAMIC_DISPATCH(Target)())}, {"results", results}};
}

}  // namespace attend::bench

int main(int argc, char** argv) {
  try {
    std::vector<std::string> counts(argv + 1, argv + argc);
    if (counts.empty()) counts = {"1", "2"};
    std::cout << attend::bench::MeasureAll(counts) << "\n";
  } catch (const std::exception& error) {
    std::cerr << "peak: " << error.what() << "\n";
    return 2;
  }
}
#endif
