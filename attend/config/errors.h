#pragma once

#include <string>
#include <string_view>

#include "attend/config/source.h"
#include "attend/config/type.h"

namespace attend::config {

// Foreign text in a message: one line, escaped, at most 60 characters.
std::string Shown(std::string_view text);
// The same for a node.
std::string Shown(const Node& node);

// " (model.yaml:12)", " (from --train.epochs)" or "".
std::string Place(const Source& source, const Origin& origin);

// Throws UserError "[options] expected …; found …".
[[noreturn]] void Fail(const std::string& expected, const std::string& found);

// `key` is no option of `record`, which stands at `path` ("" at the top) in a tree of `root`, and is held by `variant` or by
// none (nullptr).
[[noreturn]] void FailUnknown(const Type& root, const Type& record, const Type* variant, const std::string& path, std::string_view key,
                              const std::string& place);

// "a.b", or "b" at the top.
std::string Join(std::string_view path, std::string_view key);

}  // namespace attend::config
