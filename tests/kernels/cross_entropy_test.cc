#include "attend/kernels/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "attend/kernels/random.h"
#include "gtest/gtest.h"
#include "hwy/targets.h"

namespace attend::kernels {
namespace {

class CrossEntropy : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};

constexpr int64_t kRows = 4, kFrom = 1;  // row 0 is another thread's

TEST_P(CrossEntropy, EqualsItsDefinition) {
  for (int64_t classes : {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 127, 1009, 20011})
    for (float spread : {1.0f, 30.0f, 1e4f})
      for (float smoothing : {0.0f, 0.1f}) {
        SCOPED_TRACE(std::to_string(classes) + " " + std::to_string(spread) + " " + std::to_string(smoothing));
        random::Stream draws(static_cast<uint64_t>(classes));
        const auto n = static_cast<size_t>(classes);
        std::vector<float> logits(kRows * n), g(kRows), loss(kRows, -1), nll(kRows, -1), lse(kRows, -1);
        std::vector<int64_t> target(kRows);
        for (float& v : logits) v = spread * (2 * draws.Uniform() - 1);
        for (float& v : g) v = draws.Uniform() + 0.5f;
        for (int64_t& t : target) t = draws.Below(static_cast<uint32_t>(classes));
        target[1] = 0;
        target[2] = classes - 1;
        const std::vector<float> before = logits;
        CrossEntropyForward(logits.data(), classes, target.data(), smoothing, kFrom, kRows, loss.data(), nll.data(), lse.data());
        EXPECT_EQ(logits, before);
        CrossEntropyBackward(logits.data(), classes, target.data(), smoothing, lse.data(), g.data(), kFrom, kRows);
        EXPECT_EQ(loss[0], -1);
        EXPECT_TRUE(std::equal(logits.begin(), logits.begin() + classes, before.begin()));
        for (size_t i = kFrom; i < kRows; i++) {
          const float* row = before.data() + i * n;
          const double top = *std::max_element(row, row + n);
          double total = 0, sum = 0;
          for (size_t j = 0; j < n; j++) {
            total += std::exp(row[j] - top);
            sum += row[j];
          }
          const double exact = top + std::log(total), own = exact - row[target[i]], mean = sum / static_cast<double>(classes);
          // lse is rounded to 2^-24 of itself; sums run over at least 4 lanes: classes / 4 roundings of 2^-24 of what was summed, of
          // random sign (root) but for the exponentials, which are positive (their error is relative, and passes through a logarithm).
          const double rounding =
              0x1p-24 * (2 * std::abs(exact) + 2 * spread) + 1e-6 + 0x1p-24 * std::sqrt(static_cast<double>(classes)) * 4;
          EXPECT_NEAR(lse[i], exact, rounding);
          EXPECT_NEAR(nll[i], own, rounding + 0x1p-23 * own);
          EXPECT_NEAR(loss[i], (1 - smoothing) * own + smoothing * (exact - mean), 2 * rounding + 0x1p-22 * own + 1e-6 * spread);
          for (size_t j = 0; j < n; j++) {
            const double p = std::exp(row[j] - exact);
            const double gradient =
                g[i] * (p - (static_cast<int64_t>(j) == target[i] ? 1 - smoothing : 0) - smoothing / static_cast<double>(classes));
            ASSERT_NEAR(logits[i * n + j], gradient, 1.5 * (1e-6 + p * rounding)) << j;
          }
        }
      }
}

INSTANTIATE_TEST_SUITE_P(Targets, CrossEntropy, testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& target) { return std::string(hwy::TargetName(target.param)); });

}  // namespace
}  // namespace attend::kernels
