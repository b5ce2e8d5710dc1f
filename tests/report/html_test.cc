#include "attend/report/html.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "attend/base/error.h"
#include "tests/report/maps.h"

namespace attend::report {
namespace {

using testing::HasSubstr;
using testing::Not;

nlohmann::json Data(const std::string& page) {
  const std::string open = "<script type=\"application/json\" id=\"data\">";
  const size_t begin = page.find(open) + open.size();
  return nlohmann::json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

TEST(Html, IsWholeAndNeedsNothingFromOutside) {
  const std::string page = RenderHtml(OneExample());
  EXPECT_THAT(page, testing::StartsWith("<!doctype html>"));
  EXPECT_THAT(page, testing::EndsWith("</html>\n"));
  EXPECT_THAT(page, Not(HasSubstr("{{")));
  for (const char* loader : {"src=", "@import", "fetch(", "XMLHttpRequest", "type=\"module\"", "https://"})
    EXPECT_THAT(page, Not(HasSubstr(loader)));
  EXPECT_EQ(Count(page, "<script"), Count(page, "</script>"));
  EXPECT_EQ(Count(page, "<script"), 2u + 2u);  // data, program, one element a head
  EXPECT_THAT(page, HasSubstr("not by itself an explanation"));
}

TEST(Html, HostileTextsAreData) {
  AttentionReport report = OneExample();
  const std::string hostile = "</script><!--<script>{{style}}\"'&\xff";
  report.title = report.model = hostile;
  AttentionExample& example = report.examples[0];
  example.title = example.maps[0].path = example.maps[0].rows[0] = example.maps[0].columns[0] = hostile;
  example.texts[0] = {hostile, hostile};
  const std::string page = RenderHtml(report);
  EXPECT_EQ(Count(page, "<script"), 4u);
  EXPECT_THAT(page, Not(HasSubstr("<!--")));
  EXPECT_THAT(page, HasSubstr("<title>&lt;/script&gt;&lt;!--"));
  const auto map = Data(page)["examples"][0]["maps"][0];
  EXPECT_EQ(map["rows"][0], "</script><!--<script>{{style}}\"'&⟨FF⟩");
  EXPECT_EQ(map["path"], map["rows"][0]);
}

TEST(Html, MarkedTokensKeepTheirText) {
  AttentionReport report = OneExample();
  report.examples[0].maps[0].columns = {" das", "שלום", "\n"};
  const auto map = Data(RenderHtml(report))["examples"][0]["maps"][0];
  EXPECT_EQ(map["columns"][0], " das");
  EXPECT_EQ(map["columns_shown"], (nlohmann::json{{"0", "␣das"}, {"2", "⏎"}}));
  EXPECT_EQ(map["rows_shown"], nlohmann::json::object());
}

TEST(Html, LargePagesAreOneByteAWeightAndSaySo) {
  const AttentionReport report = OneExample();
  EXPECT_EQ(Data(RenderHtml(report))["packing"], "float32");
  EXPECT_EQ(Data(RenderHtml(report))["error"], 0);
  const auto data = Data(RenderHtml(report, {.exact_weights = 11}));
  EXPECT_EQ(data["packing"], "sqrt8");
  EXPECT_GT(data["error"].get<double>(), 0);
  EXPECT_THROW(RenderHtml(report, {.exact_weights = 5, .most_weights = 11}), UserError);
}

TEST(Html, MapsTooLargeToShowAtOnceBringAnOverview) {
  AttentionReport report = OneExample();
  AttentionMap& map = report.examples[0].maps[0];
  map.heads = 1;
  map.rows.assign(300, "r");
  map.columns.assign(700, "c");
  map.weights.assign(300 * 700, 0);
  map.weights[299 * 700 + 699] = 1;  // one strong link must stay visible
  const auto overview = Data(RenderHtml(report))["examples"][0]["maps"][0]["overview"];
  EXPECT_EQ(overview["rows"], 256);
  EXPECT_EQ(overview["columns"], 256);
  EXPECT_THAT(overview["base64"].get<std::string>(), testing::EndsWith("A/w=="));  // 65,536 bytes, the last one 255
}

}  // namespace
}  // namespace attend::report
