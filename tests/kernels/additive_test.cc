#include "attend/kernels/scores/additive.h"

#include <cmath>
#include <limits>
#include <vector>

#include "attend/kernels/random.h"
#include "gtest/gtest.h"
#include "hwy/targets.h"

namespace attend::kernels {
namespace {

class Additive : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};

std::vector<float> Draw(random::Stream& draws, int64_t n, float spread) {
  std::vector<float> x(static_cast<size_t>(n));
  for (float& v : x) v = spread * (2 * draws.Uniform() - 1);
  return x;
}

// tanh is within 2e-7; q + k is rounded once; a sum of D terms carries at most D roundings.
double Bound(double size, int64_t dim) { return size * (2e-7 + static_cast<double>(dim + 4) * 6e-8); }

TEST_P(Additive, EqualsTheFormulaInDouble) {
  random::Stream draws(7);
  for (int64_t dim : {1, 3, 15, 16, 17, 64, 129})
    for (int64_t keys : {0, 1, 2, 13})
      for (float spread : {0.01f, 1.0f, 30.0f, 500.0f}) {
        const auto q = Draw(draws, dim, spread), k = Draw(draws, keys * dim, spread), v = Draw(draws, dim, 1), ds = Draw(draws, keys, 1);
        std::vector<float> s(static_cast<size_t>(keys)), dq(static_cast<size_t>(dim), 0.5f), dk(k.size(), 0.25f), dv(dq);
        AdditiveScores(q.data(), k.data(), v.data(), keys, dim, s.data());
        AdditiveGradients(q.data(), k.data(), v.data(), ds.data(), keys, dim, dq.data(), dk.data(), dv.data());
        std::vector<double> s_ref(s.size()), s_size(s.size());
        for (int64_t i = 0; i < dim; i++) {
          double dq_ref = 0.5, dv_ref = 0.5, size = 1;
          for (int64_t j = 0; j < keys; j++) {
            const auto at = static_cast<size_t>(j * dim + i), row = static_cast<size_t>(j), column = static_cast<size_t>(i);
            const double t = std::tanh(static_cast<double>(q[column] + k[at])), h = static_cast<double>(ds[row]) * v[column] * (1 - t * t);
            s_ref[row] += v[column] * t;
            s_size[row] += std::abs(v[column]);
            dq_ref += h;
            dv_ref += ds[row] * t;
            size += std::abs(ds[row]);
            EXPECT_NEAR(dk[at], 0.25 + h, 1e-6) << dim << " " << keys << " " << spread;
          }
          // 1 - t^2 doubles the error of t.
          EXPECT_NEAR(dq[static_cast<size_t>(i)], dq_ref, 2 * Bound(size, keys)) << dim << " " << keys << " " << spread;
          EXPECT_NEAR(dv[static_cast<size_t>(i)], dv_ref, Bound(size, keys)) << dim << " " << keys << " " << spread;
        }
        for (size_t j = 0; j < s.size(); j++) EXPECT_NEAR(s[j], s_ref[j], Bound(s_size[j], dim)) << dim << " " << keys << " " << spread;
      }
}

TEST_P(Additive, AKeyWithoutGradientIsNotRead) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> q = {0.5f, -1}, k = {nan, nan, 0.25f, 2}, v = {1, 2}, ds = {0, 1};
  std::vector<float> dq(2), dk(4), dv(2);
  AdditiveGradients(q.data(), k.data(), v.data(), ds.data(), 2, 2, dq.data(), dk.data(), dv.data());
  EXPECT_EQ(dk[0], 0);
  EXPECT_EQ(dk[1], 0);
  for (float x : dq) EXPECT_TRUE(std::isfinite(x));
  for (float x : dv) EXPECT_TRUE(std::isfinite(x));
}

TEST_P(Additive, NanOfAKeyShowsInItsScoreAlone) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (size_t at : {0, 16}) {  // in a vector, in the tail
    std::vector<float> q(17, 0.5f), k(34, 0.25f), v(17, 1), s(2);
    k[at] = nan;
    AdditiveScores(q.data(), k.data(), v.data(), 2, 17, s.data());
    EXPECT_TRUE(std::isnan(s[0]));
    EXPECT_NEAR(s[1], 17 * std::tanh(0.75), 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Additive, testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& i) { return std::string(hwy::TargetName(i.param)); });

}  // namespace
}  // namespace attend::kernels
