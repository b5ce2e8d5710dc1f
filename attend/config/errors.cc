#include "attend/config/errors.h"

#include <cstdio>

#include "attend/base/error.h"
#include "attend/base/utf8.h"
#include "attend/config/names.h"
#include "attend/config/options.h"
#include "attend/config/yaml.h"

namespace attend::config {

std::string Shown(std::string_view text) {
  constexpr size_t kMost = 60;
  std::string out;
  for (size_t shown = 0; !text.empty(); ++shown) {
    if (shown == kMost) return out + "…";
    const utf8::CodePoint point = utf8::Next(text);
    if (!point.valid || point.value < 0x20 || (point.value >= 0x7F && point.value < 0xA0)) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02X",
                    static_cast<unsigned>(point.valid ? point.value : static_cast<unsigned char>(text[0])));
      out += text[0] == '\n' ? "\\n" : text[0] == '\t' ? "\\t" : escape;
      text.remove_prefix(point.length);
    } else {
      out += text.substr(0, point.length);
      text.remove_prefix(point.length);
    }
  }
  return out.empty() ? "nothing" : out;
}

std::string Shown(const Node& node) {
  if (node.is_null()) return "null";
  if (node.is_scalar()) return node.text.empty() ? "\"\"" : Shown(node.text);
  return (node.is_list() ? "a list " : "a map ") + Shown(FlowYaml(node));
}

std::string Place(const Source& source, const Origin& origin) {
  if (origin.flag >= 0) return " (from --" + Shown(source.overrides()[static_cast<size_t>(origin.flag)].path) + ")";
  if (origin.line > 0) return " (" + Shown(source.name()) + ":" + std::to_string(origin.line) + ")";
  return "";
}

void Fail(const std::string& expected, const std::string& found) { throw UserError("options", expected, found); }

std::string Join(std::string_view path, std::string_view key) {
  std::string joined(path);
  if (!joined.empty()) joined += '.';
  return joined += key;
}

namespace {

std::string List(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

// Where else in the tree an option of that name stands.
std::string Elsewhere(const Type& root, std::string_view key) {
  constexpr size_t kMost = 3;
  const std::vector<std::string> paths = internal::Paths(root);
  std::vector<std::string> leaves, found;
  for (const std::string& path : paths) leaves.push_back(path.substr(path.rfind('.') + 1));
  const std::string nearest = NearestName(key, leaves);
  for (size_t i = 0; i < paths.size() && found.size() < kMost; ++i)
    if (!nearest.empty() && leaves[i] == nearest) found.push_back(paths[i]);
  return List(found);
}

}  // namespace

void FailUnknown(const Type& root, const Type& record, const Type* variant, const std::string& path, std::string_view key,
                 const std::string& place) {
  std::string expected = path.empty() ? "an option" : "an option of " + path;
  if (variant) expected += " (kind " + std::string(record.kind) + ")";
  const std::string found = Shown(key) + place;
  if (variant) {
    std::vector<std::string> kinds;
    for (TypeRef alternative : variant->alternatives)
      if (alternative().Find(key)) kinds.emplace_back(alternative().kind);
    if (!kinds.empty()) Fail(expected, found + ", an option of kind " + List(kinds));
  }
  std::vector<std::string> names = record.Names();
  if (variant) names.insert(names.begin(), "kind");
  const std::string near = DidYouMean(key, names);
  if (!near.empty()) Fail(expected, found + near);
  const std::string elsewhere = Elsewhere(root, key);
  if (!elsewhere.empty()) Fail(expected, found + "; did you mean " + elsewhere + "?");
  Fail(expected, found + (names.empty() ? "; it has none" : "; the options are " + List(names)));
}

}  // namespace attend::config
