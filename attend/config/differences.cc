#include <algorithm>

#include "attend/config/errors.h"
#include "attend/config/options.h"
#include "attend/config/yaml.h"

namespace attend::config::internal {
namespace {

void Compare(const Node* a, const Node* b, const std::string& path, std::vector<Difference>& out) {
  const auto text = [](const Node* node) { return node ? FlowYaml(*node) : "(none)"; };
  if (a && b && a->is_map() && b->is_map()) {
    const Node *kind_a = a->Find("kind"), *kind_b = b->Find("kind");
    if (kind_a && kind_b && kind_a->text != kind_b->text && (a->keys[0] == "kind" && b->keys[0] == "kind") && a->keys != b->keys) {
      out.push_back({Join(path, "kind"), text(kind_a), text(kind_b)});
      return;
    }
    for (size_t i = 0; i < a->keys.size(); ++i) Compare(&a->items[i], b->Find(a->keys[i]), Join(path, a->keys[i]), out);
    for (size_t i = 0; i < b->keys.size(); ++i)
      if (!a->Find(b->keys[i])) Compare(nullptr, &b->items[i], Join(path, b->keys[i]), out);
  } else if (a && b && a->is_list() && b->is_list()) {
    for (size_t i = 0; i < std::max(a->items.size(), b->items.size()); ++i) {
      Compare(i < a->items.size() ? &a->items[i] : nullptr, i < b->items.size() ? &b->items[i] : nullptr, Join(path, std::to_string(i)),
              out);
    }
  } else if (!a || !b || text(a) != text(b)) {
    out.push_back({path, text(a), text(b)});
  }
}

}  // namespace

std::vector<Difference> Differences(const Node& a, const Node& b) {
  std::vector<Difference> out;
  Compare(&a, &b, "", out);
  return out;
}

}  // namespace attend::config::internal
