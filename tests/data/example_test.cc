#include "attend/data/example.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/data/encoders.h"

namespace attend::data {
namespace {

using testing::ElementsAre;

Example Make(std::string_view source, std::string_view target, int64_t line = 0) {
  return EncodeExample({source, target}, TwoSides(), line, 1, 0, true);
}

TEST(Example, EndsWithTheEndSymbol) {
  const Example example = Make("ab c", "d");
  EXPECT_THAT(example.ids[0], ElementsAre('a', 'b', 'c', kTestEnd));
  EXPECT_THAT(example.ids[1], ElementsAre('d', kTestEnd));
  EXPECT_THAT(example.words[0], ElementsAre(0, 0, 1));
}

TEST(Example, DrawsDependOnSeedEpochLineAndSideOnly) {
  const auto ids = [](uint64_t seed, int64_t epoch, int64_t line, int side) {
    return EncodeExample({"abcdef", "abcdef"}, TwoSides(true), line, seed, epoch).ids[static_cast<size_t>(side)];
  };
  EXPECT_EQ(ids(1, 2, 3, 0), ids(1, 2, 3, 0));
  EXPECT_NE(ids(1, 2, 3, 0), ids(2, 2, 3, 0));
  EXPECT_NE(ids(1, 2, 3, 0), ids(1, 3, 3, 0));
  EXPECT_NE(ids(1, 2, 3, 0), ids(1, 2, 4, 0));
  EXPECT_NE(ids(1, 2, 3, 0), ids(1, 2, 3, 1));
}

TEST(CutBatches, CountsPaddedTokensOfTheLongerSide) {
  std::vector<Example> examples;
  for (const auto& [s, t] : std::vector<std::pair<int, int>>{{3, 9}, {19, 9}, {4, 9}, {4, 4}, {5, 4}, {99, 2}})
    examples.push_back(Make(std::string(static_cast<size_t>(s), 'a'), std::string(static_cast<size_t>(t), 'a')));
  // Target length falling, source length rising and falling in turn: 0 (4, 10), 2 (5, 10), 1 (20, 10), 4 (6, 5), 3 (5, 5), 5 (100, 3).
  EXPECT_THAT(CutBatches(examples, {.tokens = 40}), ElementsAre(ElementsAre(0, 2), ElementsAre(1, 4), ElementsAre(3), ElementsAre(5)));
  EXPECT_THAT(CutBatches(examples, {.tokens = 60}), ElementsAre(ElementsAre(0, 2, 1), ElementsAre(4, 3), ElementsAre(5)));
  EXPECT_THAT(CutBatches(examples, {.tokens = 1}).size(), 6u);
  EXPECT_THAT(CutBatches(examples, {.tokens = 1, .sentences = 4}), ElementsAre(ElementsAre(0, 2, 1, 4), ElementsAre(3, 5)));
  EXPECT_TRUE(CutBatches({}, {}).empty());
}

TEST(MakeBatch, PadsBeyondLengths) {
  const Batch batch = MakeBatch({Make("abc", "d", 7), Make("", "ef", 9)}, {1, 0}, TwoSides(), false);
  EXPECT_EQ(batch.ids.at("source").rows, 2);
  EXPECT_EQ(batch.ids.at("source").columns, 4);
  EXPECT_THAT(batch.ids.at("source").values, ElementsAre(kTestEnd, 0, 0, 0, 'a', 'b', 'c', kTestEnd));
  EXPECT_THAT(batch.ids.at("source").lengths, ElementsAre(1, 4));
  EXPECT_THAT(batch.ids.at("target").values, ElementsAre('e', 'f', kTestEnd, 'd', kTestEnd, 0));
  EXPECT_THAT(batch.examples, ElementsAre(9, 7));
  EXPECT_EQ(batch.target_tokens, 5);
  EXPECT_TRUE(batch.floats.empty());
}

TEST(MakeBatch, AlignmentSharesWeightAmongLinkedPieces) {
  Example example = Make("ab c", "x yz w");
  example.links = {{0, 1}, {1, 1}, {1, 0}, {1, 0}};
  const FloatField field = MakeBatch({Make("abcde", "x"), example}, {0, 1}, TwoSides(), true).floats.at("alignment");
  ASSERT_THAT(field.shape, ElementsAre(2, 5, 6));
  const float third = 1.0f / 3;
  const std::vector<std::vector<float>> expected = {{0, 0, 1}, {third, third, third}, {third, third, third}, {0, 0, 0}, {0, 0, 0}};
  for (size_t t = 0; t < 5; t++) {
    for (size_t s = 0; s < 6; s++) {
      EXPECT_EQ(field.values[t * 6 + s], 0) << "no links: no weight";
      EXPECT_FLOAT_EQ(field.values[30 + t * 6 + s], s < 3 ? expected[t][s] : 0) << t << " " << s;
    }
  }
}

TEST(SortedBatches, OrderCanBeRestored) {
  std::vector<Example> examples;
  for (int64_t i = 0; i < 50; i++)
    examples.push_back(EncodeExample({std::string(static_cast<size_t>(i * 17 % 50), 'a')}, TwoSides(), i, 1, 0));
  std::vector<int> seen(50);
  int64_t longest = 1000;
  for (const Batch& batch : SortedBatches(examples, TwoSides(), {.tokens = 1, .sentences = 7})) {
    EXPECT_FALSE(batch.ids.contains("target"));
    const IdField& source = batch.ids.at("source");
    EXPECT_LE(source.columns, longest);
    longest = source.columns;
    for (size_t row = 0; row < batch.examples.size(); row++) {
      seen[static_cast<size_t>(batch.examples[row])]++;
      EXPECT_EQ(source.lengths[row], batch.examples[row] * 17 % 50 + 1);
    }
  }
  EXPECT_THAT(seen, testing::Each(1));
}

}  // namespace
}  // namespace attend::data
