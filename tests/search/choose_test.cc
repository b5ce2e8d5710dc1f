#include "attend/search/choose.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "attend/base/error.h"
#include "attend/kernels/random.h"
#include "gtest/gtest.h"

namespace attend::search {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> RandomRows(size_t n, float spread, bool ties, uint64_t seed) {
  random::Stream draws(seed);
  std::vector<float> out(n);
  for (float& x : out) {
    x = spread * (2 * draws.Uniform() - 1);
    if (ties) x = std::round(x);
  }
  return out;
}

// The definition: sort all ids.
void ExpectRow(const std::vector<float>& row, const std::vector<int32_t>& forbidden, const StepResult& result, size_t i) {
  const double top = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (float x : row) sum += std::exp(x - top);
  const double norm = top + std::log(sum);
  std::vector<int32_t> order;
  for (size_t j = 0; j < row.size(); j++)
    if (row[j] > -kInf && !std::binary_search(forbidden.begin(), forbidden.end(), static_cast<int32_t>(j)))
      order.push_back(static_cast<int32_t>(j));
  const auto better = [&](int32_t a, int32_t b) { return row[static_cast<size_t>(a)] > row[static_cast<size_t>(b)]; };
  std::stable_sort(order.begin(), order.end(), better);
  const auto k = static_cast<size_t>(result.k);
  for (size_t j = 0; j < k; j++) {
    const int32_t id = result.ids[i * k + j];
    const float log_prob = result.log_probs[i * k + j];
    if (j >= order.size()) {
      EXPECT_EQ(id, -1);
      EXPECT_EQ(log_prob, -kInf);
      continue;
    }
    ASSERT_EQ(id, order[j]) << j;
    EXPECT_NEAR(log_prob, row[static_cast<size_t>(id)] - norm, 2e-6 + 1e-6 * std::abs(norm));
    EXPECT_LE(log_prob, 0);
  }
}

TEST(Choose, EqualsItsDefinition) {
  for (int64_t vocabulary : {1, 2, 5, 127, 128, 129, 1000, 8000})
    for (float spread : {0.0f, 3.0f, 60.0f})
      for (bool ties : {false, true})
        for (int k : {0, 1, 5, 63, 200}) {
          const int64_t rows = 3;
          std::vector<float> logits = RandomRows(static_cast<size_t>(rows * vocabulary), spread, ties, 5);
          if (vocabulary > 100)
            for (size_t j = 0; j < 90; j++) logits[static_cast<size_t>(vocabulary) + j] = -kInf;
          StepRequest request;
          request.k = k;
          request.forbidden.resize(3);
          request.forbidden[0] = {0};
          for (int32_t j = 1; j < vocabulary; j += 2) request.forbidden[2].push_back(j);
          std::vector<float> copy = logits;
          const StepResult result = Choose(copy, rows, vocabulary, request);
          EXPECT_EQ(result.rows, rows);
          EXPECT_EQ(result.k, std::min<int64_t>(k, vocabulary));
          EXPECT_TRUE(result.chosen.empty());
          for (size_t i = 0; i < 3; i++) {
            const std::vector<float> row(logits.begin() + static_cast<std::ptrdiff_t>(i * static_cast<size_t>(vocabulary)),
                                         logits.begin() + static_cast<std::ptrdiff_t>((i + 1) * static_cast<size_t>(vocabulary)));
            ExpectRow(row, request.forbidden[i], result, i);
          }
        }
}

TEST(Choose, ForcedIdsNeedNotBeAllowed) {
  std::vector<float> logits = {1, 2, 3, 1, 2, 3};
  StepRequest request;
  request.forbidden = {{0}, {2}};
  request.forced = {0, -1};
  const StepResult result = Choose(logits, 2, 3, request);
  EXPECT_EQ(result.chosen[0], 0);
  EXPECT_NEAR(result.chosen_log_probs[0], 1 - std::log(std::exp(1) + std::exp(2) + std::exp(3)), 1e-6);
  EXPECT_EQ(result.chosen[1], -1);
  EXPECT_EQ(result.ids[0], 2);
  EXPECT_EQ(result.ids[1], 1);
}

TEST(Choose, HostileRowsAreNaNAndDoNotTouchOthers) {
  const size_t width = 300;
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), kInf}) {
    for (size_t at : {0, 1, 130, 299}) {
      std::vector<float> logits = RandomRows(3 * width, 2, false, 9);
      logits[width + at] = bad;
      StepRequest request;
      request.k = 4;
      request.sampling = Sampling{1, 0, 1, {1, 2, 3}, 0};
      const StepResult result = Choose(logits, 3, width, request);
      for (size_t j = 0; j < 4; j++) {
        EXPECT_TRUE(std::isnan(result.log_probs[4 + j]));
        EXPECT_EQ(result.ids[4 + j], -1);
        EXPECT_TRUE(std::isfinite(result.log_probs[j]) && std::isfinite(result.log_probs[8 + j]));
      }
      EXPECT_TRUE(std::isnan(result.chosen_log_probs[1]));
    }
  }
  std::vector<float> nothing(width, -kInf);
  EXPECT_TRUE(std::isnan(Choose(nothing, 1, width, {}).log_probs[0]));
  std::vector<float> large(width, 3e38f);
  EXPECT_NEAR(Choose(large, 1, width, {}).log_probs[0], 0, 1e38);  // finite, though far from exact at this size
  std::vector<float> all(width, 1);
  StepRequest request;
  request.forbidden.resize(1);
  for (int32_t j = 0; j < 300; j++) request.forbidden[0].push_back(j);
  request.sampling = Sampling{1, 0, 1, {1}, 0};
  const StepResult result = Choose(all, 1, width, request);
  EXPECT_EQ(result.ids[0], -1);
  EXPECT_EQ(result.chosen[0], -1);
}

TEST(Choose, RequestsThatDoNotFitAreRefused) {
  std::vector<float> logits(20);
  const auto refused = [&](auto change) {
    StepRequest request;
    change(request);
    try {
      Choose(logits, 2, 10, request);
    } catch (const UserError&) {
      return true;
    }
    return false;
  };
  EXPECT_FALSE(refused([](StepRequest&) {}));
  EXPECT_TRUE(refused([](StepRequest& r) { r.k = -1; }));
  EXPECT_TRUE(refused([](StepRequest& r) { r.forced = {1}; }));
  EXPECT_TRUE(refused([](StepRequest& r) { r.forced = {1, 10}; }));
  EXPECT_TRUE(refused([](StepRequest& r) { r.forbidden = {{}, {-1}}; }));
  EXPECT_TRUE(refused([](StepRequest& r) { r.forbidden = {{1}}; }));
  EXPECT_TRUE(refused([](StepRequest& r) { r.sampling = Sampling{}; }));
  EXPECT_TRUE(refused([](StepRequest& r) { r.sampling = Sampling{std::nan(""), 0, 1, {1, 2}, 0}; }));
  EXPECT_THROW(Choose(logits, 3, 10, {}), UserError);
  EXPECT_THROW(Choose(logits, 2, 0, {}), UserError);
}

// A share of `draws` for each id, of one row drawn under as many keys.
std::vector<double> Frequencies(const std::vector<float>& row, Sampling sampling, int draws, std::vector<int32_t> forbidden = {}) {
  std::vector<double> out(row.size(), 0);
  StepRequest request;
  request.forbidden = {forbidden};
  for (int i = 0; i < draws; i++) {
    std::vector<float> logits = row;
    sampling.row_keys = {random::RowKey(1, 2, 0, static_cast<uint64_t>(i))};
    request.sampling = sampling;
    const StepResult result = Choose(logits, 1, static_cast<int64_t>(row.size()), request);
    out.at(static_cast<size_t>(result.chosen.at(0))) += 1.0 / draws;
  }
  return out;
}

// Pearson's statistic of `draws` against `expected`, with the number of ids that can be drawn.
double ChiSquare(const std::vector<double>& found, const std::vector<double>& expected, int draws) {
  double sum = 0;
  for (size_t j = 0; j < found.size(); j++) {
    if (expected[j] == 0) {
      EXPECT_EQ(found[j], 0) << j;
      continue;
    }
    sum += draws * (found[j] - expected[j]) * (found[j] - expected[j]) / expected[j];
  }
  return sum;
}

TEST(Choose, DrawsFollowTheDistribution) {
  const int draws = 4000;
  const std::vector<float> row = RandomRows(300, 2, false, 21);  // three blocks
  struct Case {
    double temperature;
    int top_k;
    double top_p;
    std::vector<int32_t> forbidden;
  };
  for (const Case& c : {Case{1, 0, 1, {}}, Case{0.5, 0, 1, {3, 4}}, Case{2, 0, 1, {}}, Case{1, 10, 1, {}}, Case{1, 0, 0.7, {5}},
                        Case{1, 0, 0.97, {}}, Case{0.7, 20, 0.8, {}}, Case{1, 1, 1, {}}, Case{1, 0, 0, {}}, Case{0, 0, 1, {}}}) {
    std::vector<double> expected(row.size(), 0);
    std::vector<size_t> order(row.size());
    std::iota(order.begin(), order.end(), 0u);
    std::erase_if(order, [&](size_t j) { return std::count(c.forbidden.begin(), c.forbidden.end(), static_cast<int32_t>(j)) > 0; });
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return row[a] > row[b]; });
    if (c.temperature == 0) order.resize(1);
    if (c.top_k > 0) order.resize(static_cast<size_t>(c.top_k));
    const double t = c.temperature > 0 ? c.temperature : 1;
    double total = 0, mass = 0;
    for (size_t j : order) total += std::exp(row[j] / t);
    size_t kept = 0;
    while (kept < order.size() && (kept == 0 || (c.top_p < 1 ? mass < c.top_p * total : true))) mass += std::exp(row[order[kept++]] / t);
    for (size_t i = 0; i < kept; i++) expected[order[i]] = std::exp(row[order[i]] / t) / mass;
    const double chi = ChiSquare(Frequencies(row, {c.temperature, c.top_k, c.top_p, {}, 0}, draws, c.forbidden), expected, draws);
    const double freedom = static_cast<double>(kept) - 1;
    EXPECT_LT(chi, freedom + 5 * std::sqrt(2 * freedom) + 1e-9) << c.temperature << " " << c.top_k << " " << c.top_p;
  }
}

TEST(Choose, LargeNucleusIsDrawnEvenly) {
  std::vector<float> row(1000, 0);  // even: 900 ids make 0.9
  const std::vector<double> found = Frequencies(row, {1, 0, 0.9, {}, 0}, 2000);
  double inside = 0, outside = 0;
  for (size_t j = 0; j < 1000; j++) (j < 900 ? inside : outside) += found[j];
  EXPECT_NEAR(inside, 1, 1e-9);
  EXPECT_EQ(outside, 0);
  EXPECT_NEAR(std::accumulate(found.begin(), found.begin() + 90, 0.0), 0.1, 0.04);
}

// Thresholds that rounding could lift above every logit.
TEST(Choose, SomethingIsAlwaysDrawn) {
  for (double top_p : {0.0, 1e-17, 0.5, 1 - 1e-16})
    for (double temperature : {1e-300, 1e-3, 1.0, 100.0})
      for (float level : {0.0f, 1e-30f, -1e30f}) {
        std::vector<float> row(1001, level);
        row[5] = std::nextafter(level, -kInf);
        double sum = 0;
        for (double share : Frequencies(row, {temperature, 0, top_p, {}, 0}, 3)) sum += share;
        EXPECT_NEAR(sum, 1, 1e-9);
      }
}

TEST(Choose, DrawsAreKeyedByRowAndPosition) {
  const std::vector<float> row = RandomRows(1000, 1, false, 3);
  const auto draw = [&](uint64_t key, uint32_t position) {
    std::vector<float> logits = row;
    StepRequest request;
    request.sampling = Sampling{1, 0, 1, {key}, position};
    return Choose(logits, 1, 1000, request).chosen[0];
  };
  int differ = 0;
  for (uint32_t i = 0; i < 50; i++) {
    EXPECT_EQ(draw(i, 0), draw(i, 0));
    differ += draw(i, 0) != draw(i + 1, 0);
    differ += draw(7, i) != draw(7, i + 1);
  }
  EXPECT_GT(differ, 90);
}

TEST(Choose, PiecesOfWorkDoNotMatter) {
  const std::vector<float> logits = RandomRows(20 * 500, 2, false, 4);
  StepRequest request;
  request.k = 6;
  std::vector<float> a = logits, b = logits;
  const ParallelFor reversed = [](int64_t n, const std::function<void(int64_t, int64_t)>& body) {
    for (int64_t end = n; end > 0; end -= 3) body(std::max<int64_t>(end - 3, 0), end);
  };
  const StepResult x = Choose(a, 20, 500, request), y = Choose(b, 20, 500, request, reversed);
  EXPECT_EQ(x.ids, y.ids);
  EXPECT_EQ(x.log_probs, y.log_probs);
}

}  // namespace
}  // namespace attend::search
