#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attend/config/node.h"

namespace attend::config {

// `--path text` from the command line.
struct Override {
  std::string path;
  std::string text;
};

// Where option values come from: the text of a YAML file and flags laid over it, in order.
class Source {
 public:
  Source() = default;  // nothing: defaults only
  // `name` stands in errors as name:line. Throws UserError on what is not one YAML map (also: more than 1 MiB, deeper than
  // 32 levels, aliases, tags, duplicate keys, ill-encoded text).
  static Source FromYaml(std::string_view text, std::string_view name);
  // The same with the file's content. A file that cannot be read is an error.
  static Source FromFile(const std::string& path);

  // Lays a YAML value at a dotted path ("model.layers.0.size"); checked when read. For text options the value is taken
  // as it stands unless it is quoted.
  Source& Set(std::string_view path, std::string_view text);
  // Lays command-line words: `--a.b value`, `--a.b=value`, and `--a.b` alone for true. Throws on any other word.
  Source& SetAll(std::span<const std::string> words);

  // The scalar at a path of record names, without types: what chooses the type to read (`task`).
  std::optional<std::string> Peek(std::string_view path) const;

  const Node& tree() const { return tree_; }
  const std::string& name() const { return name_; }
  const std::vector<Override>& overrides() const { return overrides_; }

 private:
  std::string name_;
  Node tree_;
  std::vector<Override> overrides_;
};

}  // namespace attend::config
