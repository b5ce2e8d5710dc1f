#include "attend/kernels/linear.h"

#include <cmath>
#include <string>
#include <tuple>
#include <utility>
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

// How a matrix lies in memory.
enum class Lie { rows, columns, scattered };

struct LinearCase {
  int64_t rows, inputs, outputs;
  Addend addend;
  Lie lie;
  int64_t gap = 3;  // between rows
  std::vector<float> x, weight, addends, packed, y;

  LinearCase(int64_t m, int64_t k, int64_t n, Addend a, Lie l = Lie::rows) : rows(m), inputs(k), outputs(n), addend(a), lie(l) {
    random::Stream draws(static_cast<uint64_t>(m * 1000003 + k * 1009 + n));
    x = Draw(2 * (m + gap) * (k + gap), draws);
    weight = Draw(2 * (n + gap) * (k + gap), draws);
    addends = Draw(m * (n + gap), draws);
    y.assign(static_cast<size_t>(m * (n + gap)), kUntouched);
    packed.assign(static_cast<size_t>(LinearPanels(n) * kLinearPanel * k), kUntouched);
    for (int64_t p = 0; p < LinearPanels(n); p++) PackLinear(Weight(), n, k, p, p + 1, packed.data());
  }
  Matrix View(const std::vector<float>& values, int64_t height) const {
    if (lie == Lie::rows) return {values.data(), inputs + gap, 1};
    if (lie == Lie::columns) return {values.data(), 1, height + gap};
    return {values.data(), 2 * (inputs + gap), 2};
  }
  Matrix X(int64_t from = 0) const {
    const Matrix whole = View(x, rows);
    return {whole.data + from * whole.row, whole.row, whole.column};
  }
  Matrix Weight() const { return View(weight, outputs); }
  const float* Added(int64_t row) const { return addend == Addend::none ? nullptr : addends.data() + row * Stride(); }
  int64_t Stride() const { return addend == Addend::matrix ? outputs + gap : 0; }
  void Run(int64_t from, int64_t to, float* out) const {
    // In two shares of the panels, as two threads do it.
    const int64_t panels = LinearPanels(outputs), cut = panels / 2;
    for (const auto& [begin, end] : {std::pair{int64_t{0}, cut}, std::pair{cut, panels}})
      PackedLinear(X(from), to - from, inputs, packed.data(), outputs, Added(from), Stride(), begin, end, out, outputs + gap);
  }
  void RunUnpacked(float* out) const {
    Linear(X(), rows, inputs, Weight(), outputs, Added(0), Stride(), 0, LinearPanels(outputs), out, outputs + gap);
  }
  void Check() const {
    for (int64_t i = 0; i < rows; i++) {
      const float *out = y.data() + i * (outputs + gap), *added = Added(i);
      const Matrix a = X(), b = Weight();
      for (int64_t j = 0; j < outputs; j++) {
        double exact = added ? added[j] : 0, size = std::abs(exact);
        for (int64_t k = 0; k < inputs; k++) {
          const double term = static_cast<double>(a.data[i * a.row + k * a.column]) * b.data[j * b.row + k * b.column];
          exact += term;
          size += std::abs(term);
        }
        // Targets without fused multiply-add round twice a term.
        ASSERT_NEAR(out[j], exact, 2 * static_cast<double>(inputs + 1) * std::ldexp(size, -24)) << i << " " << j;
      }
      for (int64_t j = outputs; j < outputs + gap; j++) ASSERT_EQ(out[j], kUntouched) << i << " " << j;
    }
  }
};

// Around the sizes of tiles and panels.
TEST_P(PackedLinearTest, IsTheProductAndWritesNothingElse) {
  for (int64_t rows : {1, 2, 5, 6, 7, 11, 12, 13, 25, 193})
    for (int64_t inputs : {0, 1, 3, 64, 129})
      for (int64_t outputs : {1, 15, 16, 17, 31, 32, 33, 70})
        for (Addend addend : {Addend::none, Addend::vector, Addend::matrix})
          for (Lie lie : {Lie::rows, Lie::columns, Lie::scattered}) {
            SCOPED_TRACE(std::to_string(rows) + "x" + std::to_string(inputs) + "x" + std::to_string(outputs));
            LinearCase c(rows, inputs, outputs, addend, lie);
            c.Run(0, rows, c.y.data());
            ASSERT_NO_FATAL_FAILURE(c.Check());
            std::vector<float> unpacked(c.y.size(), kUntouched);
            c.RunUnpacked(unpacked.data());
            ASSERT_EQ(unpacked, c.y);
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

// More inputs than are summed in registers, more weights than are laid out at once; the sum may take the addend's place.
TEST_P(PackedLinearTest, ManyInputsAndOutputs) {
  for (Lie lie : {Lie::rows, Lie::columns})
    for (const auto& [rows, inputs, outputs] : {std::tuple{5, 2500, 70}, std::tuple{14, 1025, 33}, std::tuple{2, 900, 1300}}) {
      LinearCase c(rows, inputs, outputs, Addend::matrix, lie);
      c.Run(0, rows, c.y.data());
      ASSERT_NO_FATAL_FAILURE(c.Check());
      std::vector<float> unpacked(c.y.size(), kUntouched);
      c.RunUnpacked(unpacked.data());
      ASSERT_EQ(unpacked, c.y);
      for (int64_t i = 0; i < rows; i++)
        std::copy_n(c.addends.begin() + i * (c.outputs + c.gap), c.outputs, unpacked.begin() + i * (c.outputs + c.gap));
      Linear(c.X(), rows, inputs, c.Weight(), outputs, unpacked.data(), c.outputs + c.gap, 0, LinearPanels(outputs), unpacked.data(),
             c.outputs + c.gap);
      ASSERT_EQ(unpacked, c.y);
    }
}

INSTANTIATE_TEST_SUITE_P(Targets, PackedLinearTest, testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& target) { return std::string(hwy::TargetName(target.param)); });

}  // namespace
}  // namespace attend::kernels
