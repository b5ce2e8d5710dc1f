#include "attend/kernels/logsumexp.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "attend/kernels/random.h"
#include "gtest/gtest.h"
#include "hwy/targets.h"

namespace attend::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class LogSumExp : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};

TEST_P(LogSumExp, BlocksEqualTheirDefinition) {
  random::Stream draws(3);
  for (int64_t n : {1, 2, 7, 15, 16, 17, 127, 128, 129, 255, 1000, 8191}) {
    for (float spread : {0.0f, 1.0f, 30.0f, 400.0f}) {
      std::vector<float> x(static_cast<size_t>(n) + 1);
      for (float& v : x) v = spread * (2 * draws.Uniform() - 1);
      if (n > 3) x[2] = -kInf;
      const float* row = x.data() + 1;  // unaligned
      const auto blocks = static_cast<size_t>(RowBlocks(n));
      std::vector<float> top(blocks), sum(blocks);
      BlockMax(row, n, top.data());
      const float shift = *std::max_element(top.begin(), top.end());
      EXPECT_EQ(shift, *std::max_element(row, row + n));
      for (float scale : {1.0f, 0.3f, 5.0f}) {
        BlockSumExp(row, n, shift, scale, sum.data());
        for (size_t b = 0; b < blocks; b++) {
          const float* begin = row + b * kRowBlock;
          const float* end = std::min(row + n, begin + kRowBlock);
          EXPECT_EQ(top[b], *std::max_element(begin, end));
          double expected = 0;
          for (const float* v = begin; v < end; v++) expected += std::exp((static_cast<double>(*v) - shift) * scale);
          // The argument of exp is rounded: an error of 2^-24 of it, at most 87.
          EXPECT_NEAR(sum[b], expected, 6e-6 * expected + 1e-35) << n << " " << spread << " " << scale;
        }
      }
    }
  }
}

TEST_P(LogSumExp, WhatIsNotFiniteShows) {
  for (size_t n : {1, 5, 16, 40, 128}) {
    for (size_t at = 0; at < n; at++) {
      std::vector<float> x(n, 0.5f);
      float sum = 0;
      x[at] = kNan;
      BlockSumExp(x.data(), static_cast<int64_t>(n), 0.5f, 1, &sum);
      EXPECT_TRUE(std::isnan(sum));
      x[at] = kInf;
      BlockSumExp(x.data(), static_cast<int64_t>(n), kInf, 1, &sum);
      EXPECT_TRUE(std::isnan(sum));
      x[at] = -kInf;
      BlockSumExp(x.data(), static_cast<int64_t>(n), 0.5f, 1, &sum);
      EXPECT_EQ(sum, static_cast<float>(n - 1));
    }
    const std::vector<float> nothing(n, -kInf);
    float sum = 0;
    BlockSumExp(nothing.data(), static_cast<int64_t>(n), -kInf, 1, &sum);
    EXPECT_TRUE(std::isnan(sum));
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, LogSumExp, testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& target) { return std::string(hwy::TargetName(target.param)); });

}  // namespace
}  // namespace attend::kernels
