#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace attend::config {

constexpr int kMaxDepth = 32;  // levels of lists and maps, in files, in flags and in the resolved configuration

// Where a node was written: a line of the file, the flag with this number, or neither (a default).
struct Origin {
  int line = 0;   // from 1; 0: not from the file
  int flag = -1;  // index of the override
};

// A tree of plain YAML values.
struct Node {
  enum class Kind { null, scalar, list, map };

  Kind kind = Kind::null;
  std::string text;               // scalar
  bool quoted = false;            // scalar: written in quotes, or to be
  std::vector<std::string> keys;  // map: names of the items, without duplicates
  std::vector<Node> items;        // list, map
  Origin origin;

  static Node Null() { return {}; }
  static Node Scalar(std::string text, bool quoted = false);
  static Node List();
  static Node Map();

  bool is_map() const { return kind == Kind::map; }
  bool is_list() const { return kind == Kind::list; }
  bool is_scalar() const { return kind == Kind::scalar; }
  bool is_null() const { return kind == Kind::null; }

  const Node* Find(std::string_view key) const;
  Node* Find(std::string_view key);
  Node& Add(std::string_view key, Node item);  // map; the key is new
  int Depth() const;                           // scalar and null 0; a list of scalars 1
};

}  // namespace attend::config
