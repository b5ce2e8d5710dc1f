#include "attend/report/attention_map.h"

#include <gmock/gmock.h>

#include <functional>
#include <limits>

#include "attend/base/error.h"
#include "attend/report/heads.h"
#include "attend/report/html.h"
#include "attend/report/json.h"
#include "attend/report/svg.h"
#include "attend/report/text.h"
#include "tests/report/maps.h"

namespace attend::report {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string Refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const UserError& e) {
    return e.what();
  }
  return "nothing was refused";
}

TEST(AttentionMap, EveryRendererNamesBothShapesWhenTheyDoNotMatch) {
  AttentionReport report = OneExample();
  AttentionMap& map = report.examples[0].maps[0];
  map.weights.pop_back();
  const auto refused =
      AllOf(HasSubstr("[report decoder.attention]"), HasSubstr("(2 heads, 2 row tokens, 3 column tokens)"), HasSubstr("found 11 weights"));
  EXPECT_THAT(Refusal([&] { RenderHtml(report); }), refused);
  EXPECT_THAT(Refusal([&] { RenderJson(report); }), refused);
  EXPECT_THAT(Refusal([&] { RenderText(report); }), refused);
  EXPECT_THAT(Refusal([&] { RenderSvg(map); }), refused);
}

TEST(AttentionMap, WeightsMustBeFiniteAndNotNegative) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -0.5f}) {
    AttentionMap map = TwoHeads();
    map.weights[10] = bad;
    EXPECT_THAT(Refusal([&] { Check(map); }), AllOf(HasSubstr("at least 0"), HasSubstr("head 2, row 2, column 2")));
  }
}

TEST(AttentionMap, NumbersOfHeadsAreChecked) {
  AttentionMap map = TwoHeads();
  for (const int64_t heads : {int64_t{0}, int64_t{-1}, int64_t{3}, std::numeric_limits<int64_t>::max()}) {
    map.heads = heads;
    EXPECT_THROW(Check(map), UserError) << heads;
  }
}

TEST(AttentionMap, EmptyMapsAreMaps) {
  AttentionMap map = TwoHeads();
  map.columns.clear();
  EXPECT_THROW(Check(map), UserError);
  map.weights.clear();
  Check(map);
  AttentionReport report{"", "", {{"", {}, {map}}}};
  EXPECT_THAT(RenderText(report), HasSubstr("house"));
  EXPECT_THAT(RenderSvg(map), HasSubstr("</svg>"));
  EXPECT_THAT(RenderJson(report), HasSubstr("\"columns\": []"));
  EXPECT_THAT(RenderHtml(report), HasSubstr("</html>"));
}

TEST(Heads, MeanLargestAndSingle) {
  const AttentionMap map = TwoHeads();
  EXPECT_THAT(CombineHeads(map, kMeanOfHeads), ElementsAre(0.75f, 0.125f, 0.125f, 0.125f, 0.75f, 0.125f));
  EXPECT_THAT(CombineHeads(map, kMaxOfHeads), ElementsAre(1, 0.25f, 0.25f, 0.25f, 1, 0.25f));
  EXPECT_THAT(CombineHeads(map, 1), ElementsAre(1, 0, 0, 0.25f, 0.5f, 0.25f));
  EXPECT_THAT(Refusal([&] { CombineHeads(map, 2); }), AllOf(HasSubstr("a head from 1 to 2, mean or max"), HasSubstr("found head 3")));
  EXPECT_EQ(HeadName(map, 1), "head 2 of 2");
  EXPECT_EQ(HeadName(map, kMeanOfHeads), "mean of 2 heads");
}

}  // namespace
}  // namespace attend::report
