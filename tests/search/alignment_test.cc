#include "attend/search/alignment.h"

#include <limits>
#include <set>

#include "attend/search/batches.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attend::search {
namespace {

TEST(AlignWords, SumsSourcePiecesAndAveragesTargetPieces) {
  // Source words 0 (pieces 0, 1) and 1 (piece 2), end symbol (piece 3); target words 0 (piece 0) and 1 (pieces 1, 2), end symbol.
  const SourceMap map{4,
                      4,
                      {0.3f, 0.3f, 0.4f, 0,     //
                       0.1f, 0.1f, 0.2f, 0.6f,  //
                       0.1f, 0.3f, 0.5f, 0.1f,  //
                       0, 0, 0, 1}};
  const std::vector<int32_t> source = {0, 0, 1, -1}, target = {0, 1, 1, -1};
  const std::vector<Link> links = AlignWords(map, source, target);
  ASSERT_EQ(links.size(), 2u);
  EXPECT_EQ(links[0].target, 0);
  EXPECT_EQ(links[0].source, 0);  // 0.6 in sum beats the best single piece
  EXPECT_NEAR(links[0].weight, 0.6, 1e-6);
  EXPECT_EQ(links[1].target, 1);
  EXPECT_EQ(links[1].source, 1);  // (0.2 + 0.5) / 2 against (0.2 + 0.4) / 2; the end symbol is no word
  EXPECT_NEAR(links[1].weight, 0.35, 1e-6);
}

TEST(AlignWords, TakesTheFirstOfEqualWordsAndNoneOfNothing) {
  const SourceMap map{3, 2, {0.5f, 0.5f, 0, 0, 0.1f, 0.9f}};
  const std::vector<Link> links = AlignWords(map, std::vector<int32_t>{0, 1}, std::vector<int32_t>{0, 1, 2});
  ASSERT_EQ(links.size(), 2u);
  EXPECT_EQ(links[0].source, 0);
  EXPECT_EQ(links[1].target, 2);
  EXPECT_EQ(links[1].source, 1);
  EXPECT_TRUE(AlignWords(map, {}, std::vector<int32_t>{0}).empty());
  EXPECT_TRUE(AlignWords(map, std::vector<int32_t>{0}, {}).empty());
  EXPECT_TRUE(AlignWords(SourceMap{}, std::vector<int32_t>{0}, std::vector<int32_t>{0}).empty());
  // More words than the map has.
  EXPECT_EQ(AlignWords(map, std::vector<int32_t>{0, 0, 1, 2}, std::vector<int32_t>{0, 1, 2, 3, 4}).size(), 2u);
}

TEST(ReplaceUnknown, NamesTheMostAttendedWord) {
  const SourceMap map{4, 3, {0.2f, 0.7f, 0.1f, 0.3f, 0.3f, 0.4f, 0, 0, 1, 1, 0, 0}};
  const std::vector<int32_t> ids = {3, 9, 3}, source = {0, 0, -1};
  EXPECT_THAT(ReplaceUnknown(ids, 3, map, source), testing::ElementsAre(0, -1, -1));
  const std::vector<int32_t> split = {0, 1, 2};
  EXPECT_THAT(ReplaceUnknown(ids, 3, map, split), testing::ElementsAre(1, -1, 2));
}

TEST(MeanSourceMap, AveragesHeadsOfAllLayersOverTheSource) {
  Hypothesis h;
  h.maps.push_back({"a", MapOver::source, 1, 2, 2, {1, 0, 0, 1}});
  h.maps.push_back({"b", MapOver::source, 1, 1, 2, {0, 1}});
  h.maps.push_back({"self", MapOver::output, 1, 1, 1, {1}});
  const SourceMap map = MeanSourceMap(h);
  EXPECT_EQ(map.tokens, 1);
  EXPECT_EQ(map.keys, 2);
  EXPECT_NEAR(map.weights[0], 1.0 / 3, 1e-6);
  EXPECT_NEAR(map.weights[1], 2.0 / 3, 1e-6);
  EXPECT_EQ(MeanSourceMap(Hypothesis{}).tokens, 0);
}

TEST(Batches, HoldEverySentenceOnceWithinTheLimits) {
  SearchOptions options;
  options.batch_sentences = 8;
  options.batch_tokens = 60;
  std::vector<int64_t> lengths = {1000, 0, 0};
  for (int64_t i = 0; i < 100; i++) lengths.push_back(i * 37 % 31);
  std::set<int64_t> seen;
  int64_t last = std::numeric_limits<int64_t>::max();
  const std::vector<std::vector<int64_t>> batches = Batches(lengths, options);
  EXPECT_LT(batches.size(), 50u);
  for (const std::vector<int64_t>& batch : batches) {
    EXPECT_LE(batch.size(), 8u);
    const int64_t longest = lengths[static_cast<size_t>(batch.at(0))];
    EXPECT_TRUE(batch.size() == 1 || static_cast<int64_t>(batch.size()) * longest <= 60);
    for (int64_t i : batch) {
      const int64_t length = lengths[static_cast<size_t>(i)];
      EXPECT_TRUE(length <= last || length <= 1);
      last = length;
      EXPECT_TRUE(seen.insert(i).second);
    }
  }
  EXPECT_EQ(seen.size(), lengths.size());
  EXPECT_TRUE(Batches({}, options).empty());
}

}  // namespace
}  // namespace attend::search
