#include "attend/config/node.h"

#include <algorithm>

namespace attend::config {

Node Node::Scalar(std::string text, bool quoted) {
  Node node;
  node.kind = Kind::scalar;
  node.text = std::move(text);
  node.quoted = quoted;
  return node;
}

Node Node::List() {
  Node node;
  node.kind = Kind::list;
  return node;
}

Node Node::Map() {
  Node node;
  node.kind = Kind::map;
  return node;
}

const Node* Node::Find(std::string_view key) const {
  const auto found = std::find(keys.begin(), keys.end(), key);
  return found == keys.end() ? nullptr : &items[static_cast<size_t>(found - keys.begin())];
}

Node* Node::Find(std::string_view key) { return const_cast<Node*>(std::as_const(*this).Find(key)); }

Node& Node::Add(std::string_view key, Node item) {
  keys.emplace_back(key);
  return items.emplace_back(std::move(item));
}

int Node::Depth() const {
  if (!is_map() && !is_list()) return 0;
  int below = 0;
  for (const Node& item : items) below = std::max(below, item.Depth());
  return below + 1;
}

}  // namespace attend::config
