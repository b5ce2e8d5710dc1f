#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "attend/report/attention_map.h"

namespace attend::report {

// Appends `text` as a JSON string that is also safe inside an HTML script element: < and > and & are \u003c, \u003e, \u0026.
// Bytes that are no UTF-8 stand as ⟨E4⟩ (ValidText).
void AppendJsonString(std::string& out, std::string_view text);
void AppendJsonField(std::string& out, std::string_view name, std::string_view text);  // "name": "text"
void AppendJsonStrings(std::string& out, const std::vector<std::string>& texts);

// {"format": 1, "title", "model", "examples": [{"title", "texts": [{"label", "text"}], "maps": [{"path", "row_axis", "column_axis",
// "rows", "columns", "heads", "weights": (heads, rows, columns)}]}]}. Weights have the shortest digits that read back as the same
// float. Throws UserError where tokens and weights do not match.
std::string RenderJson(const AttentionReport& report);

}  // namespace attend::report
