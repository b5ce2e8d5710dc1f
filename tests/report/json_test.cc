#include "attend/report/json.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/report/maps.h"

namespace attend::report {
namespace {

TEST(Json, ReadsBackAsItWas) {
  AttentionReport report = OneExample();
  AttentionMap& map = report.examples[0].maps[0];
  map.weights[0] = 0.1f;
  map.weights[1] = 1e-30f;
  map.rows = {"\"\\\n\t\x01\x7f", "</script>"};
  map.columns = {"שלום", "👩‍💻", "\xe4\xbd"};
  const auto json = nlohmann::json::parse(RenderJson(report));
  EXPECT_EQ(json["format"], 1);
  EXPECT_EQ(json["examples"][0]["texts"][1]["text"], "the house");
  const auto& read = json["examples"][0]["maps"][0];
  EXPECT_EQ(read["path"], "decoder.attention");
  EXPECT_EQ(read["row_axis"], "produces: target");
  EXPECT_EQ(read["rows"].get<std::vector<std::string>>(), map.rows);
  EXPECT_EQ(read["columns"][2], "⟨E4 BD⟩");
  size_t i = 0;
  for (const auto& head : read["weights"])
    for (const auto& row : head)
      for (const auto& weight : row) EXPECT_EQ(weight.get<float>(), map.weights[i++]);
  EXPECT_EQ(i, map.weights.size());
}

TEST(Json, StringsAreSafeInsideAScriptElement) {
  std::string out;
  AppendJsonString(out, "</script><!-- & -->");
  EXPECT_EQ(out, R"("\u003c/script\u003e\u003c!-- \u0026 --\u003e")");
}

}  // namespace
}  // namespace attend::report
