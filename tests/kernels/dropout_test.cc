#include "attend/kernels/dropout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "hwy/targets.h"

namespace attend::kernels {
namespace {

class Dropout : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};

TEST_P(Dropout, DrawsAreThoseOfTheGenerator) {
  for (uint64_t key : {uint64_t{0}, uint64_t{0x123456789abcdef0}, ~uint64_t{0}})
    for (int64_t blocks : {0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 100}) {
      std::vector<uint16_t> draws(static_cast<size_t>(8 * blocks) + 1, 0xabcd);
      DropoutDraws(key, 0xfffffffe, 3, 0x80000001, blocks, draws.data());
      for (int64_t b = 0; b < blocks; b++) {
        const auto expected = random::Dropout::Draws(key, static_cast<uint32_t>(b), 0xfffffffe, 3, 0x80000001);
        for (size_t i = 0; i < 8; i++) ASSERT_EQ(draws[static_cast<size_t>(8 * b) + i], expected[i]) << blocks << " " << b << " " << i;
      }
      EXPECT_EQ(draws.back(), 0xabcd) << "wrote beyond the last block";
    }
}

TEST_P(Dropout, KeepsWhatIsNotBelowTheThreshold) {
  for (uint32_t threshold : {0u, 1u, 30000u, 65535u, 65536u})
    for (int64_t n : {0, 1, 7, 16, 31, 100}) {
      std::vector<uint16_t> draws(static_cast<size_t>(n));
      std::vector<float> x(draws.size()), y(draws.size());
      for (size_t j = 0; j < draws.size(); j++) {
        draws[j] = static_cast<uint16_t>(j % 5 == 0 ? 65535 : j % 5 == 1 ? 0 : 997 * j);
        x[j] = j % 7 == 3 ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(j) - 3.5f;
      }
      ApplyDropout(x.data(), draws.data(), n, threshold, 1.25f, y.data());
      for (size_t j = 0; j < draws.size(); j++) {
        if (draws[j] < threshold) {
          EXPECT_EQ(y[j], 0);
        } else if (std::isnan(x[j])) {
          EXPECT_TRUE(std::isnan(y[j]));
        } else {
          EXPECT_EQ(y[j], x[j] * 1.25f);
        }
      }
    }
}

INSTANTIATE_TEST_SUITE_P(Targets, Dropout, testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& i) { return hwy::TargetName(i.param); });

}  // namespace
}  // namespace attend::kernels
