#include "attend/config/names.h"

#include <gtest/gtest.h>

namespace attend::config {
namespace {

TEST(Names, EditDistance) {
  EXPECT_EQ(EditDistance("", "", 5), 0u);
  EXPECT_EQ(EditDistance("abc", "", 5), 3u);
  EXPECT_EQ(EditDistance("kitten", "sitting", 5), 3u);
  EXPECT_EQ(EditDistance("trian", "train", 5), 1u);
  EXPECT_EQ(EditDistance("ca", "abc", 5), 3u);  // optimal string alignment; unrestricted: 2
  EXPECT_EQ(EditDistance("kitten", "sitting", 2), 3u);
  EXPECT_EQ(EditDistance("aaaaaaaa", "bbbbbbbb", 3), 4u);
}

TEST(Names, Nearest) {
  const std::vector<std::string> names = {"epochs", "learning_rate", "layers", "kind"};
  EXPECT_EQ(NearestName("lerning_rate", names), "learning_rate");
  EXPECT_EQ(NearestName("learning-rate", names), "learning_rate");
  EXPECT_EQ(NearestName("Layers", names), "layers");
  EXPECT_EQ(NearestName("layer", names), "layers");
  EXPECT_EQ(NearestName("learn", names), "learning_rate");
  EXPECT_EQ(NearestName("zebra", names), "");
  EXPECT_EQ(NearestName("", names), "");
  EXPECT_EQ(NearestName(std::string(100'000, 'x'), names), "");
  EXPECT_EQ(NearestName("b", std::vector<std::string>{"a"}), "");
  EXPECT_EQ(NearestName("lea", std::vector<std::string>{"leading_one", "learning_rate"}), "");
  EXPECT_EQ(DidYouMean("epoch", names), "; did you mean epochs?");
  EXPECT_EQ(DidYouMean("zebra", names), "");
}

}  // namespace
}  // namespace attend::config
