#include "attend/report/svg.h"

#include <gmock/gmock.h>

#include "attend/base/error.h"
#include "attend/report/colour.h"
#include "tests/report/maps.h"

namespace attend::report {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Svg, NamesAxesTokensWeightsAndLegend) {
  const std::string svg = RenderSvg(TwoHeads(), {.head = 0});
  for (const char* part : {"decoder.attention, head 1 of 2", ">reads from: source →<", ">← produces: target<", ">Haus<", ">house<",
                           ">&lt;/s&gt;<", ">.25<", ">1.00<", ">0.5<", ">weight<"})
    EXPECT_THAT(svg, HasSubstr(part));
  EXPECT_THAT(svg, HasSubstr("fill=\"" + Hex(ColourAt(LightRamp(), 0.25)) + "\""));
  EXPECT_THAT(RenderSvg(TwoHeads(), {.per_row_maximum = true}), HasSubstr("share of the row&#39;s maximum"));
}

TEST(Svg, HostileTokensAreText) {
  AttentionMap map = TwoHeads();
  map.rows = {"</svg><script>alert(1)</script>", std::string(100, 'x')};
  map.path = "a<b";
  const std::string svg = RenderSvg(map);
  EXPECT_THAT(svg, Not(HasSubstr("<script")));
  EXPECT_THAT(svg, HasSubstr("<title>a&lt;b, mean of 2 heads</title>"));
  EXPECT_THAT(svg, HasSubstr("<title>" + std::string(100, 'x') + "</title>" + std::string(23, 'x') + "…<"));
}

TEST(Svg, HebrewRunsFromTheRight) {
  AttentionMap map = TwoHeads();
  map.columns = {"שלום", "עולם", "</s>"};
  const std::string svg = RenderSvg(map);
  EXPECT_THAT(svg, HasSubstr("direction=\"rtl\""));
  EXPECT_THAT(svg, HasSubstr(">← reads from: source<"));
  // The first position is the rightmost: its label stands to the right of the last one's.
  const auto x = [&](const std::string& token) {
    const size_t label = svg.rfind("translate(", svg.find(">" + token + "<"));
    return std::stod(svg.substr(label + 10));
  };
  EXPECT_GT(x("שלום"), x("עולם"));
  EXPECT_GT(x("עולם"), x("&lt;/s&gt;"));
}

TEST(Svg, MapsTooLargeForAPictureAreRefused) {
  AttentionMap map = TwoHeads();
  map.heads = 1;
  map.rows.assign(501, "r");
  map.columns.assign(500, "c");
  map.weights.assign(501 * 500, 0.002f);
  EXPECT_THROW(RenderSvg(map), UserError);
}

TEST(Colour, RampsAreMonotonicInLightness) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_GE(Luminance(ColourAt(LightRamp(), i / 100.0)), Luminance(ColourAt(LightRamp(), (i + 1) / 100.0))) << i;
    EXPECT_LE(Luminance(ColourAt(DarkRamp(), i / 100.0)), Luminance(ColourAt(DarkRamp(), (i + 1) / 100.0))) << i;
  }
  EXPECT_EQ(Hex(ColourAt(LightRamp(), -1)), "#ffffff");
  EXPECT_EQ(Hex(ColourAt(DarkRamp(), 2)), "#fde725");
  EXPECT_EQ(Ansi256({255, 0, 0}), 196);
  EXPECT_EQ(Ansi256({128, 128, 128}), 244);
}

}  // namespace
}  // namespace attend::report
