#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>

#include "attend/base/utf8.h"
#include "attend/config/errors.h"
#include "attend/config/yaml.h"

namespace attend::config {
namespace {

// Whether every YAML reader takes the bare text for a string.
bool IsPlain(std::string_view text) {
  constexpr std::array<std::string_view, 9> kWords = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"};
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '/'; };
  const auto inner = [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+' || c == '@' || c == '%';
  };
  if (text.empty() || !letter(text[0]) || !std::all_of(text.begin(), text.end(), inner)) return false;
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(kWords.begin(), kWords.end(), lower) == kWords.end();
}

bool IsPrintable(char32_t c) {
  return c >= 0x20 && !(c >= 0x7F && c < 0xA0) && c != 0x2028 && c != 0x2029 && c != 0xFEFF && c != 0xFFFE && c != 0xFFFF;
}

std::string Quoted(std::string_view text) {
  const std::string_view whole = text;
  std::string out = "\"";
  while (!text.empty()) {
    const utf8::CodePoint point = utf8::Next(text);
    if (!point.valid) Fail("UTF-8 text", Shown(whole));
    const char32_t c = point.value;
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (!IsPrintable(c)) {
      char escape[8];
      std::snprintf(escape, sizeof escape, c < 0x100 ? "\\x%02X" : "\\u%04X", static_cast<unsigned>(c));
      out += escape;
    } else {
      out += text.substr(0, point.length);
    }
    text.remove_prefix(point.length);
  }
  return out + "\"";
}

void Flow(const Node& node, std::string& out) {
  switch (node.kind) {
    case Node::Kind::null:
      out += "null";
      return;
    case Node::Kind::scalar:
      out += node.quoted && !IsPlain(node.text) ? Quoted(node.text) : node.text;
      return;
    case Node::Kind::list:
    case Node::Kind::map:
      out += node.is_map() ? "{" : "[";
      for (size_t i = 0; i < node.items.size(); ++i) {
        if (i > 0) out += ", ";
        if (node.is_map()) out += node.keys[i] + ": ";
        Flow(node.items[i], out);
      }
      out += node.is_map() ? "}" : "]";
  }
}

bool IsBlock(const Node& node) {
  if (node.is_map()) return !node.items.empty();
  return node.is_list() &&
         std::any_of(node.items.begin(), node.items.end(), [](const Node& item) { return item.is_map() && !item.items.empty(); });
}

// Lines of a map or list, each after `indent` spaces but for the first, whose place the caller has reached.
void Block(const Node& node, size_t indent, std::string& out) {
  for (size_t i = 0; i < node.items.size(); ++i) {
    const Node& item = node.items[i];
    if (i > 0) out.append(indent, ' ');
    out += node.is_map() ? node.keys[i] + ":" : "-";
    if (!IsBlock(item) || (node.is_list() && item.is_list())) {
      out += ' ';
      Flow(item, out);
      out += '\n';
    } else if (node.is_map()) {
      out += '\n';
      out.append(indent + 2, ' ');
      Block(item, indent + 2, out);
    } else {
      out += ' ';
      Block(item, indent + 2, out);
    }
  }
}

}  // namespace

std::string BlockYaml(const Node& node) {
  if (!IsBlock(node)) return FlowYaml(node) + "\n";
  std::string out;
  Block(node, 0, out);
  return out;
}

std::string FlowYaml(const Node& node) {
  std::string out;
  Flow(node, out);
  return out;
}

}  // namespace attend::config
