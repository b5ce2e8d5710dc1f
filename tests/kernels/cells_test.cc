#include "attend/kernels/cells.h"

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "attend/kernels/random.h"
#include "gtest/gtest.h"
#include "hwy/targets.h"

namespace attend::kernels {
namespace {

// Rows lie further apart than they are long, and what lies between must stay as it is.
constexpr int64_t kGap = 3;
constexpr float kMark = -7777;

struct Rows {
  int64_t rows, columns;
  std::vector<float> values;
  Rows(int64_t r, int64_t c, random::Stream* draws = nullptr, float spread = 1)
      : rows(r), columns(c), values(static_cast<size_t>(r * (c + kGap)), kMark) {
    for (int64_t i = 0; draws && i < r; i++)
      for (int64_t j = 0; j < c; j++) At(i, j) = spread * (4 * draws->Uniform() - 2);
  }
  int64_t stride() const { return columns + kGap; }
  float& At(int64_t i, int64_t j) { return values[static_cast<size_t>(i * stride() + j)]; }
  double At(int64_t i, int64_t j) const { return values[static_cast<size_t>(i * stride() + j)]; }
  float* data() { return values.data(); }
  const float* data() const { return values.data(); }
  void ExpectMarks() const {
    for (int64_t i = 0; i < rows; i++)
      for (int64_t j = columns; j < stride(); j++) EXPECT_EQ(At(i, j), kMark) << i << " " << j;
  }
};

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// sigmoid and tanh are off by 2e-7 at most (math-inl.h); of the products here none has more than three such factors, others being of
// the order of `scale`; each operation adds 2^-24.
void ExpectNear(double found, double exact, double scale = 1) {
  ASSERT_FALSE(std::isnan(found));
  EXPECT_NEAR(found, exact, 1.5e-6 * std::max({1.0, scale, std::abs(exact)}));
}

class Cells : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }

  // Sizes around every vector length; gates of usual size and far beyond what exp can take; all rows, or some that have ended.
  void ForAll(const std::function<void(int64_t size, float spread, const uint8_t* active, random::Stream& draws)>& check) {
    static constexpr uint8_t kActive[] = {1, 0, 1, 0, 1};
    for (int64_t size : {1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 31, 32, 33, 67})
      for (float spread : {1.0f, 10.0f, 1e4f})
        for (const uint8_t* active : {static_cast<const uint8_t*>(nullptr), kActive}) {
          SCOPED_TRACE(std::to_string(size) + " " + std::to_string(spread) + (active ? " some" : " all"));
          random::Stream draws(static_cast<uint64_t>(size));
          check(size, spread, active, draws);
        }
  }
};

constexpr int64_t kRows = 5, kFrom = 1, kTo = 5;  // row 0 is another thread's

TEST_P(Cells, Gru) {
  ForAll([](int64_t n, float spread, const uint8_t* active, random::Stream& draws) {
    const Rows x(kRows, 3 * n, &draws, spread), u(kRows, 3 * n, &draws, spread), h(kRows, n, &draws), g(kRows, n, &draws);
    Rows out(kRows, n), saved(kRows, 4 * n), bare(kRows, n), dx(kRows, 3 * n), du(kRows, 3 * n), dh(kRows, n);
    GruForward(x.data(), x.stride(), u.data(), u.stride(), h.data(), h.stride(), active, n, kFrom, kTo, out.data(), out.stride(),
               saved.data(), saved.stride());
    GruForward(x.data(), x.stride(), u.data(), u.stride(), h.data(), h.stride(), active, n, kFrom, kTo, bare.data(), bare.stride(), nullptr,
               0);
    GruBackward(g.data(), g.stride(), saved.data(), saved.stride(), h.data(), h.stride(), active, n, kFrom, kTo, dx.data(), dx.stride(),
                du.data(), du.stride(), dh.data(), dh.stride());
    EXPECT_EQ(out.values, bare.values);
    for (const Rows* r : {&out, &saved, &dx, &du, &dh}) r->ExpectMarks();
    for (int64_t i = kFrom; i < kTo; i++)
      for (int64_t j = 0; j < n; j++) {
        if (active && !active[i]) {
          EXPECT_EQ(out.At(i, j), h.At(i, j));
          EXPECT_EQ(dh.At(i, j), g.At(i, j));
          for (int64_t b = 0; b < 3; b++) EXPECT_EQ(std::abs(dx.At(i, b * n + j)) + std::abs(du.At(i, b * n + j)), 0);
          continue;
        }
        const double r = Sigmoid(x.At(i, j) + u.At(i, j)), z = Sigmoid(x.At(i, n + j) + u.At(i, n + j)), un = u.At(i, 2 * n + j);
        // A gate of 1e4 is rounded to 1e-3: the tanh of such a sum is not known any better when the sum is near 0.
        const double sum = x.At(i, 2 * n + j) + r * un, c = std::tanh(sum), slip = std::abs(un) * (1 - c * c);
        ExpectNear(out.At(i, j), (1 - z) * c + z * h.At(i, j), 1 + slip);
        const double dc = g.At(i, j) * (1 - z) * (1 - c * c), dz = g.At(i, j) * (h.At(i, j) - c) * z * (1 - z), dr = dc * un * r * (1 - r);
        ExpectNear(dx.At(i, j), dr, std::abs(un) * (1 + slip));
        ExpectNear(dx.At(i, n + j), dz, 4 * (1 + slip));
        ExpectNear(dx.At(i, 2 * n + j), dc, 4 * (1 + slip));
        ExpectNear(du.At(i, j), dr, std::abs(un) * (1 + slip));
        ExpectNear(du.At(i, n + j), dz, 4 * (1 + slip));
        ExpectNear(du.At(i, 2 * n + j), dc * r, 4 * (1 + slip));
        ExpectNear(dh.At(i, j), g.At(i, j) * z);
      }
    for (int64_t j = 0; j < n; j++) EXPECT_EQ(out.At(0, j) + dh.At(0, j), 2 * kMark);
  });
}

TEST_P(Cells, Lstm) {
  ForAll([](int64_t n, float spread, const uint8_t* active, random::Stream& draws) {
    const Rows gates(kRows, 4 * n, &draws, spread), h(kRows, n, &draws), c(kRows, n, &draws, 1.5f), gh(kRows, n, &draws),
        gc(kRows, n, &draws);
    Rows out(kRows, n), cell(kRows, n), saved(kRows, 5 * n), bare(kRows, n), bare_cell(kRows, n), dg(kRows, 4 * n), dh(kRows, n),
        dc(kRows, n);
    LstmForward(gates.data(), gates.stride(), h.data(), h.stride(), c.data(), c.stride(), active, n, kFrom, kTo, out.data(), out.stride(),
                cell.data(), cell.stride(), saved.data(), saved.stride());
    LstmForward(gates.data(), gates.stride(), h.data(), h.stride(), c.data(), c.stride(), active, n, kFrom, kTo, bare.data(), bare.stride(),
                bare_cell.data(), bare_cell.stride(), nullptr, 0);
    LstmBackward(gh.data(), gh.stride(), gc.data(), gc.stride(), saved.data(), saved.stride(), c.data(), c.stride(), active, n, kFrom, kTo,
                 dg.data(), dg.stride(), dh.data(), dh.stride(), dc.data(), dc.stride());
    EXPECT_EQ(out.values, bare.values);
    EXPECT_EQ(cell.values, bare_cell.values);
    for (const Rows* r : {&out, &cell, &saved, &dg, &dh, &dc}) r->ExpectMarks();
    for (int64_t i = kFrom; i < kTo; i++)
      for (int64_t j = 0; j < n; j++) {
        if (active && !active[i]) {
          EXPECT_EQ(out.At(i, j), h.At(i, j));
          EXPECT_EQ(cell.At(i, j), c.At(i, j));
          EXPECT_EQ(dh.At(i, j), gh.At(i, j));
          EXPECT_EQ(dc.At(i, j), gc.At(i, j));
          for (int64_t b = 0; b < 4; b++) EXPECT_EQ(dg.At(i, b * n + j), 0);
          continue;
        }
        const double in = Sigmoid(gates.At(i, j)), f = Sigmoid(gates.At(i, n + j)), g = std::tanh(gates.At(i, 2 * n + j));
        const double o = Sigmoid(gates.At(i, 3 * n + j)), next = f * c.At(i, j) + in * g, t = std::tanh(next);
        ExpectNear(cell.At(i, j), next, 3);
        ExpectNear(out.At(i, j), o * t, 3);
        const double dcell = gh.At(i, j) * o * (1 - t * t) + gc.At(i, j);
        ExpectNear(dg.At(i, j), dcell * g * in * (1 - in), 12);
        ExpectNear(dg.At(i, n + j), dcell * c.At(i, j) * f * (1 - f), 36);
        ExpectNear(dg.At(i, 2 * n + j), dcell * in * (1 - g * g), 12);
        ExpectNear(dg.At(i, 3 * n + j), gh.At(i, j) * t * o * (1 - o), 12);
        ExpectNear(dc.At(i, j), dcell * f, 12);
        EXPECT_EQ(dh.At(i, j), 0);
      }
    for (int64_t j = 0; j < n; j++) EXPECT_EQ(out.At(0, j) + cell.At(0, j) + dc.At(0, j), 3 * kMark);
  });
}

TEST_P(Cells, Elman) {
  ForAll([](int64_t n, float spread, const uint8_t* active, random::Stream& draws) {
    const Rows gates(kRows, n, &draws, spread), h(kRows, n, &draws), g(kRows, n, &draws);
    Rows out(kRows, n), saved(kRows, n), bare(kRows, n), dg(kRows, n), dh(kRows, n);
    ElmanForward(gates.data(), gates.stride(), h.data(), h.stride(), active, n, kFrom, kTo, out.data(), out.stride(), saved.data(),
                 saved.stride());
    ElmanForward(gates.data(), gates.stride(), h.data(), h.stride(), active, n, kFrom, kTo, bare.data(), bare.stride(), nullptr, 0);
    ElmanBackward(g.data(), g.stride(), saved.data(), saved.stride(), active, n, kFrom, kTo, dg.data(), dg.stride(), dh.data(),
                  dh.stride());
    EXPECT_EQ(out.values, bare.values);
    for (const Rows* r : {&out, &saved, &dg, &dh}) r->ExpectMarks();
    for (int64_t i = kFrom; i < kTo; i++)
      for (int64_t j = 0; j < n; j++) {
        if (active && !active[i]) {
          EXPECT_EQ(out.At(i, j), h.At(i, j));
          EXPECT_EQ(dh.At(i, j), g.At(i, j));
          EXPECT_EQ(dg.At(i, j), 0);
          continue;
        }
        const double t = std::tanh(gates.At(i, j));
        ExpectNear(out.At(i, j), t);
        ExpectNear(dg.At(i, j), g.At(i, j) * (1 - t * t), 2);
        EXPECT_EQ(dh.At(i, j), 0);
      }
  });
}

// The same number wherever it stands: in a whole vector or among the elements behind the last one.
TEST_P(Cells, AnElementsPlaceDoesNotMatter) {
  for (int64_t n : {1, 7, 16, 33}) {
    std::vector<float> gates(static_cast<size_t>(n), 0.7f), h(gates.size()), out(gates.size());
    ElmanForward(gates.data(), n, h.data(), n, nullptr, n, 0, 1, out.data(), n, nullptr, 0);
    for (float v : out) EXPECT_EQ(v, out[0]);
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Cells, testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& target) { return std::string(hwy::TargetName(target.param)); });

}  // namespace
}  // namespace attend::kernels
