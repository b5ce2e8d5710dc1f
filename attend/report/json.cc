#include "attend/report/json.h"

#include <charconv>
#include <cstdio>

#include "attend/report/token.h"

namespace attend::report {
namespace {

void AppendFloat(std::string& out, float value) {
  char text[32];
  out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

void AppendMap(std::string& out, const AttentionMap& map) {
  out += "\n      {";
  AppendJsonField(out, "path", map.path);
  out += ", ";
  AppendJsonField(out, "row_axis", map.row_axis);
  out += ", ";
  AppendJsonField(out, "column_axis", map.column_axis);
  out += ",\n       \"rows\": ";
  AppendJsonStrings(out, map.rows);
  out += ",\n       \"columns\": ";
  AppendJsonStrings(out, map.columns);
  out += ",\n       \"heads\": " + std::to_string(map.heads) + ",\n       \"weights\": [";
  size_t i = 0;
  for (int64_t h = 0; h < map.heads; ++h) {
    out += h == 0 ? "[" : ",\n        [";
    for (size_t r = 0; r < map.rows.size(); ++r) {
      out += r == 0 ? "[" : ", [";
      for (size_t c = 0; c < map.columns.size(); ++c) {
        if (c > 0) out += ", ";
        AppendFloat(out, map.weights[i++]);
      }
      out += "]";
    }
    out += "]";
  }
  out += "]}";
}

}  // namespace

void AppendJsonString(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : ValidText(text)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F || c == '<' || c == '>' || c == '&') {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", byte);
      out += escape;
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  out += '"';
}

void AppendJsonField(std::string& out, std::string_view name, std::string_view text) {
  AppendJsonString(out, name);
  out += ": ";
  AppendJsonString(out, text);
}

void AppendJsonStrings(std::string& out, const std::vector<std::string>& texts) {
  out += '[';
  for (size_t i = 0; i < texts.size(); ++i) {
    if (i > 0) out += ", ";
    AppendJsonString(out, texts[i]);
  }
  out += ']';
}

std::string RenderJson(const AttentionReport& report) {
  Check(report);
  std::string out = "{\"format\": 1, ";
  AppendJsonField(out, "title", report.title);
  out += ", ";
  AppendJsonField(out, "model", report.model);
  out += ", \"examples\": [";
  for (size_t e = 0; e < report.examples.size(); ++e) {
    const AttentionExample& example = report.examples[e];
    out += e == 0 ? "\n  {" : ",\n  {";
    AppendJsonField(out, "title", example.title);
    out += ", \"texts\": [";
    for (size_t t = 0; t < example.texts.size(); ++t) {
      out += t == 0 ? "{" : ", {";
      AppendJsonField(out, "label", example.texts[t].first);
      out += ", ";
      AppendJsonField(out, "text", example.texts[t].second);
      out += "}";
    }
    out += "],\n    \"maps\": [";
    for (size_t m = 0; m < example.maps.size(); ++m) {
      if (m > 0) out += ",";
      AppendMap(out, example.maps[m]);
    }
    out += "]}";
  }
  return out + "]}\n";
}

}  // namespace attend::report
