#include "attend/metrics/alignment_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attend::metrics {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Links, Formats) {
  const Links links = ParseLinks("  2-1 0-0\t0?1 3p2 0-0 2?1\r", 1);
  EXPECT_THAT(links.sure, ElementsAre(Link{0, 0}, Link{2, 1}));
  EXPECT_THAT(links.possible, ElementsAre(Link{0, 0}, Link{0, 1}, Link{2, 1}, Link{3, 2}));
  EXPECT_TRUE(ParseLinks("", 1).possible.empty());
  EXPECT_EQ(ParseLinks("2147483647-0", 1).sure[0].source, 2147483647);
}

TEST(Links, IllFormed) {
  for (const char* text : {"3", "3-", "-3", "a-b", "1-2-3", "1--2", "1-+2", "+1-2", "1 - 2", "1:2", "1-2x", "2147483648-0",
                           "1-99999999999999", "\xFF-1", "1-2 3-4,"}) {
    try {
      ParseLinks(text, 7);
      ADD_FAILURE() << text;
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), HasSubstr("in line 7"));
      EXPECT_THAT(error.what(), HasSubstr("[alignment] expected links i-j (sure), i?j or ipj (possible)"));
    }
  }
  try {
    ParseLinks(std::string(100000, 'x'), 1);
    ADD_FAILURE();
  } catch (const UserError& error) {
    EXPECT_LT(std::string(error.what()).size(), 200u);
  }
}

TEST(AlignmentErrorRate, ByHand) {
  // A = {00, 11, 22, 33}, S = {00, 11, 55}, P = S + {22}: 1 − (2 + 3)/(4 + 3).
  const AlignmentCounts counts = CompareLinks(ParseLinks("0-0 1-1 2-2 3-3", 1), ParseLinks("0-0 1-1 5-5 2?2", 1));
  EXPECT_NEAR(AlignmentErrorRate(counts), 2.0 / 7, 1e-15);
  EXPECT_NEAR(AlignmentPrecision(counts), 3.0 / 4, 1e-15);
  EXPECT_NEAR(AlignmentRecall(counts), 2.0 / 3, 1e-15);
}

TEST(AlignmentErrorRate, SureOnlyIsOneMinusF1) {
  const AlignmentCounts counts = CompareLinks(ParseLinks("0-0 1-1 2-3", 1), ParseLinks("0-0 1-1 2-2 3-3", 1));
  const double p = AlignmentPrecision(counts), r = AlignmentRecall(counts);
  EXPECT_NEAR(AlignmentErrorRate(counts), 1 - 2 * p * r / (p + r), 1e-15);
}

TEST(AlignmentErrorRate, Files) {
  const std::vector<std::string> gold = {"0-0 1-1", "", "0-1"}, output = {"0-0 1-1", "", "1-0"};
  EXPECT_EQ(AlignmentErrorRate(CompareLinks(gold, gold)), 0);
  EXPECT_NEAR(AlignmentErrorRate(CompareLinks(output, gold)), 1.0 / 3, 1e-15);
  EXPECT_EQ(AlignmentErrorRate(CompareLinks(std::vector<std::string>{"", "", "0-0"}, gold)), 1);
  EXPECT_EQ(AlignmentErrorRate(AlignmentCounts{}), 0);
  EXPECT_THROW(CompareLinks(std::vector<std::string>{""}, gold), UserError);
  EXPECT_THROW(CompareLinks(std::vector<std::string>{}, std::vector<std::string>{}), UserError);
  EXPECT_EQ(AlignmentMetric(CompareLinks(output, gold)).details, "(precision = 0.6667 recall = 0.6667 links = 3 sure = 3)");
}

}  // namespace
}  // namespace attend::metrics
