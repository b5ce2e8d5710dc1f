#include "attend/data/permutation.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace attend::data {
namespace {

TEST(Permutation, IsABijection) {
  for (int64_t n : {1, 2, 3, 5, 7, 8, 15, 16, 17, 63, 64, 255, 256, 257, 1000, 1024, 1025, 4095, 65537, 100003}) {
    for (uint64_t key : {0u, 1u, 77u}) {
      const Permutation p(n, key);
      std::vector<bool> seen(static_cast<size_t>(n));
      for (int64_t i = 0; i < n; i++) {
        const int64_t j = p(i);
        ASSERT_GE(j, 0);
        ASSERT_LT(j, n);
        ASSERT_FALSE(seen[static_cast<size_t>(j)]) << n << " " << i;
        seen[static_cast<size_t>(j)] = true;
      }
    }
  }
}

TEST(Permutation, LargeDomains) {
  const int64_t n = (int64_t{1} << 40) + 12345;
  const Permutation p(n, 5);
  std::map<int64_t, int64_t> seen;
  for (int64_t i = 0; i < 1000; i++) {
    const int64_t j = p(n - 1 - i);
    EXPECT_TRUE(j >= 0 && j < n);
    EXPECT_TRUE(seen.emplace(j, i).second);
  }
}

TEST(Permutation, KeysDiffer) {
  const Permutation a(1000, 1), b(1000, 2);
  int equal = 0;
  for (int64_t i = 0; i < 1000; i++) equal += a(i) == b(i);
  EXPECT_LT(equal, 10);  // 1 expected
}

// Each of the 24 orders of 4 things about equally often: chi-square of 23 degrees of freedom, 49.7 at p = 0.001.
TEST(Permutation, SmallDomainsAreUniform) {
  std::map<int64_t, int> orders;
  const int draws = 7200;
  for (int key = 0; key < draws; key++) {
    const Permutation p(4, static_cast<uint64_t>(key));
    orders[p(0) + 10 * p(1) + 100 * p(2) + 1000 * p(3)]++;
  }
  ASSERT_EQ(orders.size(), 24u);
  double chi_square = 0;
  for (const auto& [order, count] : orders) chi_square += (count - 300.0) * (count - 300.0) / 300.0;
  EXPECT_LT(chi_square, 49.7);
}

// Where 100 things go, from each of ten places: chi-square of 99 degrees of freedom, 148.2 at p = 0.001.
TEST(Permutation, PlacesAreUniform) {
  for (int64_t place = 0; place < 100; place += 11) {
    std::vector<int> counts(100);
    for (uint64_t key = 0; key < 10000; key++) counts[static_cast<size_t>(Permutation(100, key)(place))]++;
    double chi_square = 0;
    for (int count : counts) chi_square += (count - 100.0) * (count - 100.0) / 100.0;
    EXPECT_LT(chi_square, 148.2) << place;
  }
}

}  // namespace
}  // namespace attend::data
