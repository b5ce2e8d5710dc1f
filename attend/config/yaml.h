#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "attend/config/node.h"

namespace attend::config {

constexpr size_t kMaxYamlBytes = size_t{1} << 20;

// One YAML document of plain values. Throws UserError on ill-formed text and on what options do not have: several documents,
// aliases and anchors, tags, duplicate keys, keys that are not scalars, more than kMaxDepth levels, 100,000 values or 1 MiB,
// text that is not UTF-8, control characters. flag < 0: `name` is a file's; else the override's path.
Node ParseYaml(std::string_view text, std::string_view name, int flag = -1);

// Throws UserError unless text is UTF-8 without control characters and at most 1 MiB; arguments as above.
void CheckText(std::string_view text, std::string_view name, int flag);

// A block document; a list of scalars stands on one line. Throws UserError on text that is not UTF-8.
std::string BlockYaml(const Node& node);
// The same on one line.
std::string FlowYaml(const Node& node);

}  // namespace attend::config
