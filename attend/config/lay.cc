#include "attend/config/lay.h"

#include <algorithm>
#include <charconv>
#include <memory>

#include "attend/config/errors.h"
#include "attend/config/names.h"
#include "attend/config/options.h"
#include "attend/config/yaml.h"

namespace attend::config {
namespace {

std::vector<std::string_view> Split(std::string_view path) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('.', begin), path.size());
    parts.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// Whether a bare word for this type is text, which a flag gives as it stands.
bool TakesText(const Type& type) {
  switch (type.form) {
    case Form::text:
      return true;
    case Form::optional:
    case Form::box:
    case Form::one_or_many:
      return TakesText(type.element());
    case Form::record:
      return !type.shorthand.empty() && TakesText(type.Find(type.shorthand)->type());
    default:
      return false;
  }
}

Node ParseValue(const Type& type, const Override& set, int flag) {
  const std::string& text = set.text;
  Node parsed;
  const bool whole_text = type.form == Form::text || (type.form == Form::optional && type.element().form == Form::text);
  const bool quoted = text.size() > 1 && (text[0] == '"' || text[0] == '\'') && text.back() == text[0];
  const bool collection = !whole_text && (text.starts_with('[') || text.starts_with('{'));
  const bool null = type.form != Form::text && (text == "~" || text == "null");
  if (TakesText(type) && !quoted && !collection && !null) {
    CheckText(text, set.path, flag);
    parsed = Node::Scalar(text, true);
  } else {
    parsed = ParseYaml(text, set.path, flag);
  }
  parsed.origin = {0, flag};
  return parsed;
}

bool FromFlags(const Node& node) { return node.origin.flag >= 0 || std::any_of(node.items.begin(), node.items.end(), FromFlags); }

// Drops what flags did not say; a list of which flags said a part stays whole.
void KeepFlags(Node& node) {
  Node kept = Node::Map();
  kept.origin = node.origin;
  for (size_t i = 0; i < node.items.size(); ++i) {
    if (!FromFlags(node.items[i])) continue;
    if (node.items[i].is_map()) KeepFlags(node.items[i]);
    kept.Add(node.keys[i], std::move(node.items[i]));
  }
  node = std::move(kept);
}

// Walks one override from the root to its place.
class Layer {
 public:
  Layer(const Type& root, const Source& source, int flag)
      : root_(root), source_(source), flag_(flag), set_(source.overrides()[static_cast<size_t>(flag)]), parts_(Split(set_.path)) {}

  void Lay(const void* value, Node& tree) {
    if (parts_.size() > static_cast<size_t>(kMaxDepth)) Fail("a path of at most " + std::to_string(kMaxDepth) + " names", Shown(set_.path));
    type_ = &root_;
    default_ = value;
    node_ = &tree;
    for (; next_ < parts_.size(); ++next_) {
      Unwrap();
      Step();
      path_ = Join(path_, parts_[next_]);
    }
    Node parsed = ParseValue(*type_, set_, flag_);
    if (parts_.size() + static_cast<size_t>(parsed.Depth()) > static_cast<size_t>(kMaxDepth)) {
      Fail("at most " + std::to_string(kMaxDepth) + " levels of lists and maps", "more" + Place());
    }
    *node_ = std::move(parsed);
  }

 private:
  std::string Place() const { return config::Place(source_, {0, flag_}); }
  bool Last() const { return next_ + 1 == parts_.size(); }

  // A default value of `type`, which takes the place of the one in the tree above.
  const void* Fresh(const Type& type) {
    held_ = type.make();
    return held_.get();
  }

  // From an optional to what it holds.
  void Unwrap() {
    while (type_->form == Form::optional || type_->form == Form::box) {
      const Type& element = type_->element();
      default_ = type_->size(default_) ? type_->At(default_, 0) : Fresh(element);
      type_ = &element;
    }
  }

  void Step() {
    switch (type_->form) {
      case Form::record:
        return Record(*type_, nullptr);
      case Form::variant:
        return Variant();
      case Form::list:
        return List();
      case Form::one_or_many:
        return OneOrMany();
      default:
        Fail(path_ + " to be one " + type_->Describe() + ", without options of its own", Shown(parts_[next_]) + Place());
    }
  }

  // Goes to the field of a record named by the path.
  void Record(const Type& record, const Type* variant) {
    const std::string_view name = parts_[next_];
    const Field* field = record.Find(name);
    if (!field) FailUnknown(root_, record, variant, path_, name, Place());
    if (node_->is_null()) MakeMap();
    if (!node_->is_map() && !record.shorthand.empty()) Wrap(record.shorthand);
    if (!node_->is_map()) Fail(path_ + " to be a map of options", Shown(*node_) + config::Place(source_, node_->origin));
    Child(name);
    default_ = field->Of(default_);
    type_ = &field->type();
  }

  void Variant() {
    const Type& variant = *type_;
    const Type& held = variant.alternatives[static_cast<size_t>(variant.index(default_))]();
    if (node_->is_scalar()) Wrap("kind");
    const Node* kind = node_->Find("kind");
    if (parts_[next_] == "kind") {
      if (!Last()) Fail(Join(path_, "kind") + " to be one word", Shown(set_.path) + Place());
      const std::string old(kind && kind->is_scalar() ? std::string_view(kind->text) : held.kind);
      if (node_->is_null()) MakeMap();
      if (!node_->is_map()) Fail(path_ + " to be a map of options", Shown(*node_) + config::Place(source_, node_->origin));
      if (ParseValue(TypeOf<std::string>(), set_, flag_).text != old) {
        KeepFlags(*node_);
        node_->origin = {0, flag_};
      }
      Child("kind");
      type_ = &TypeOf<std::string>();
      default_ = nullptr;
      return;
    }
    const Type* chosen = kind && kind->is_scalar() ? variant.Alternative(kind->text) : &held;
    if (!chosen || !chosen->Find(parts_[next_])) chosen = LaterKind(variant, chosen ? chosen : &held);
    default_ = chosen == &held ? variant.At(default_, 0) : Fresh(*chosen);
    Record(*chosen, &variant);
  }

  // The alternative that a later flag will choose, which an earlier one may already speak of.
  const Type* LaterKind(const Type& variant, const Type* chosen) const {
    const std::string path = Join(path_, "kind");
    for (size_t i = static_cast<size_t>(flag_) + 1; i < source_.overrides().size(); ++i) {
      const Override& later = source_.overrides()[i];
      if (later.path != path) continue;
      if (const Type* named = variant.Alternative(later.text)) chosen = named;
    }
    return chosen;
  }

  void List() {
    if (node_->is_null()) WriteDefault();
    if (!node_->is_list()) Fail(path_ + " to be a list", Shown(*node_) + config::Place(source_, node_->origin));
    const std::optional<size_t> index = Index();
    if (!index || *index > node_->items.size()) {
      Fail("an index of " + path_ + " from 0 to " + std::to_string(node_->items.size()), Shown(parts_[next_]) + Place());
    }
    if (*index == node_->items.size()) node_->items.emplace_back();
    node_ = &node_->items[*index];
    type_ = &type_->element();
    default_ = Fresh(*type_);
  }

  void OneOrMany() {
    const std::optional<size_t> index = Index();
    if (node_->is_null()) WriteDefault();
    if (index) {
      if (!node_->is_list()) {
        Node list = Node::List();
        list.origin = node_->origin;
        list.items.push_back(std::move(*node_));
        *node_ = std::move(list);
      }
      List();
      return;
    }
    if (node_->is_list()) {
      if (node_->items.size() > 1) {
        Fail("an index of " + path_ + " from 0 to " + std::to_string(node_->items.size()), Shown(parts_[next_]) + Place());
      }
      *node_ = node_->items.empty() ? Node::Null() : Node(node_->items[0]);
    }
    type_ = &type_->element();
    default_ = Fresh(*type_);
    Unwrap();
    Step();
  }

  std::optional<size_t> Index() const {
    const std::string_view text = parts_[next_];
    size_t index = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return index;
  }

  void WriteDefault() { *node_ = internal::ToTree(*type_, default_); }

  void MakeMap() {
    *node_ = Node::Map();
    node_->origin = {0, flag_};
  }

  // x becomes {key: x}.
  void Wrap(std::string_view key) {
    Node map = Node::Map();
    map.origin = node_->origin;
    map.Add(key, std::move(*node_));
    *node_ = std::move(map);
  }

  void Child(std::string_view name) {
    Node* child = node_->Find(name);
    node_ = child ? child : &node_->Add(name, Node::Null());
  }

  const Type& root_;
  const Source& source_;
  const int flag_;
  const Override& set_;
  const std::vector<std::string_view> parts_;
  size_t next_ = 0;  // the part that Step takes
  std::string path_;
  const Type* type_ = nullptr;
  const void* default_ = nullptr;
  std::shared_ptr<void> held_;  // owns default_ below a list or another kind
  Node* node_ = nullptr;
};

}  // namespace

Node Lay(const Type& root, const void* value, const Source& source) {
  Node tree = source.tree();
  for (size_t i = 0; i < source.overrides().size(); ++i) Layer(root, source, static_cast<int>(i)).Lay(value, tree);
  return tree;
}

}  // namespace attend::config
