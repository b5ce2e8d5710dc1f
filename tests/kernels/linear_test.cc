#include "attend/kernels/linear.h"

#include <cmath>
#include <string>
#include <vector>

#include "attend/kernels/random.h"
#include "gtest/gtest.h"
#include "hwy/targets.h"

namespace attend::kernels {
namespace {

constexpr float kUntouched = -7777;

std::vector<float> Draw(int64_t n, random::Stream& draws) {
  std::vector<float> out(static_cast<size_t>(n));
  for (float& value : out) value = 4 * draws.Uniform() - 2;
  return out;
}

class PackedLinearTest : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};

enum class Addend { none, vector, matrix };

struct LinearCase {
  int64_t rows, inputs, outputs;
  Addend addend;
  int64_t gap = 3;  // between rows
  std::vector<float> x, weight, addends, packed, y;

  LinearCase(int64_t m, int64_t k, int64_t n, Addend a) : rows(m), inputs(k), outputs(n), addend(a) {
    random::Stream draws(static_cast<uint64_t>(m * 1000003 + k * 1009 + n));
    x = Draw(m * (k + gap), draws);
    weight = Draw(n * (k + gap), draws);
    addends = Draw(m * (n + gap), draws);
    y.assign(static_cast<size_t>(m * (n + gap)), kUntouched);
    packed.resize(static_cast<size_t>(LinearPanels(n) * kLinearPanel * k));
    PackLinear(weight.data(), k + gap, n, k, packed.data());
  }
  const float* Added(int64_t row) const { return addend == Addend::none ? nullptr : addends.data() + row * Stride(); }
  int64_t Stride() const { return addend == Addend::matrix ? outputs + gap : 0; }
  void Run(int64_t from, int64_t to, float* out) {
    // In two shares of the panels, as two threads do it.
    const int64_t panels = LinearPanels(outputs), cut = panels / 2;
    for (const auto& [begin, end] : {std::pair{int64_t{0}, cut}, std::pair{cut, panels}})
      PackedLinear(x.data() + from * (inputs + gap), inputs + gap, to - from, inputs, packed.data(), outputs, Added(from), Stride(), begin,
                   end, out, outputs + gap);
  }
};

// Around the sizes of tiles and panels.
TEST_P(PackedLinearTest, IsTheProductAndWritesNothingElse) {
  for (int64_t rows : {1, 2, 5, 6, 7, 11, 12, 13, 25, 193})
    for (int64_t inputs : {1, 3, 64, 129})
      for (int64_t outputs : {1, 15, 16, 17, 31, 32, 33, 70})
        for (Addend addend : {Addend::none, Addend::vector, Addend::matrix}) {
          SCOPED_TRACE(std::to_string(rows) + "x" + std::to_string(inputs) + "x" + std::to_string(outputs));
          LinearCase c(rows, inputs, outputs, addend);
          c.Run(0, rows, c.y.data());
          for (int64_t i = 0; i < rows; i++) {
            const float *x = c.x.data() + i * (inputs + c.gap), *y = c.y.data() + i * (outputs + c.gap), *added = c.Added(i);
            for (int64_t j = 0; j < outputs; j++) {
              double exact = added ? added[j] : 0, size = std::abs(exact);
              for (int64_t k = 0; k < inputs; k++) {
                const double term = static_cast<double>(x[k]) * c.weight[static_cast<size_t>(j * (inputs + c.gap) + k)];
                exact += term;
                size += std::abs(term);
              }
              // Targets without fused multiply-add round twice a term.
              ASSERT_NEAR(y[j], exact, 2 * static_cast<double>(inputs + 1) * std::ldexp(size, -24)) << i << " " << j;
            }
            for (int64_t j = outputs; j < outputs + c.gap; j++) ASSERT_EQ(y[j], kUntouched) << i << " " << j;
          }
        }
}

TEST_P(PackedLinearTest, ARowHasTheSameBitsAloneAndInAnyBatch) {
  LinearCase c(230, 77, 70, Addend::matrix);
  c.Run(0, c.rows, c.y.data());
  for (int64_t rows : {1, 3, 8, 12, 50})
    for (int64_t from = 0; from + rows <= c.rows; from += 37) {
      std::vector<float> part(static_cast<size_t>(rows * (c.outputs + c.gap)), kUntouched);
      c.Run(from, from + rows, part.data());
      const auto whole = c.y.begin() + from * (c.outputs + c.gap);
      EXPECT_TRUE(std::equal(part.begin(), part.end(), whole)) << rows << " rows from " << from;
    }
}

// More of x than is laid out at once: the rows go in shares.
TEST_P(PackedLinearTest, ManyRows) {
  LinearCase c(701, 900, 33, Addend::matrix);
  c.Run(0, c.rows, c.y.data());
  std::vector<float> alone(static_cast<size_t>(c.outputs + c.gap), kUntouched);
  for (int64_t i = 0; i < c.rows; i++) {
    c.Run(i, i + 1, alone.data());
    ASSERT_TRUE(std::equal(alone.begin(), alone.end(), c.y.begin() + i * (c.outputs + c.gap))) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, PackedLinearTest, testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& target) { return std::string(hwy::TargetName(target.param)); });

}  // namespace
}  // namespace attend::kernels
