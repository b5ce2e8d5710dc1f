#include "attend/config/source.h"

#include <algorithm>

#include "attend/base/file.h"
#include "attend/config/errors.h"
#include "attend/config/yaml.h"

namespace attend::config {

Source Source::FromYaml(std::string_view text, std::string_view name) {
  Source source;
  source.name_ = name;
  source.tree_ = ParseYaml(text, name);
  if (!source.tree_.is_map() && !source.tree_.is_null()) {
    Fail("a map of options in " + Shown(name), Shown(source.tree_) + Place(source, source.tree_.origin));
  }
  return source;
}

Source Source::FromFile(const std::string& path) { return FromYaml(ReadFile(path, "options", kMaxYamlBytes), path); }

Source& Source::Set(std::string_view path, std::string_view text) {
  overrides_.push_back({std::string(path), std::string(text)});
  return *this;
}

Source& Source::SetAll(std::span<const std::string> words) {
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word.size() < 3 || !word.starts_with("--")) Fail("--option value", Shown(word));
    const size_t equals = word.find('=');
    if (equals != std::string::npos) {
      Set(word.substr(2, equals - 2), word.substr(equals + 1));
    } else if (i + 1 < words.size() && !words[i + 1].starts_with("--")) {
      Set(word.substr(2), words[i + 1]);
      ++i;
    } else {
      Set(word.substr(2), "true");
    }
  }
  return *this;
}

std::optional<std::string> Source::Peek(std::string_view path) const {
  for (auto set = overrides_.rbegin(); set != overrides_.rend(); ++set)
    if (set->path == path) return set->text;
  const Node* node = &tree_;
  while (node && !path.empty()) {
    const size_t dot = std::min(path.find('.'), path.size());
    node = node->is_map() ? node->Find(path.substr(0, dot)) : nullptr;
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  if (!node || !node->is_scalar()) return std::nullopt;
  return node->text;
}

}  // namespace attend::config
