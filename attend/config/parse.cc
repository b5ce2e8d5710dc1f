#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <istream>
#include <numeric>
#include <streambuf>

#include "attend/base/utf8.h"
#include "attend/config/errors.h"
#include "attend/config/yaml.h"

namespace attend::config {
namespace {

constexpr size_t kMaxNodes = 100'000;

// Where in the text an error is met.
class Where {
 public:
  Where(std::string_view name, int flag) : name_(name), flag_(flag) {}
  Origin At(int line) const { return flag_ < 0 ? Origin{line, -1} : Origin{0, flag_}; }
  std::string Text(int line) const {
    if (flag_ >= 0) return " (from --" + Shown(name_) + ")";
    return " (" + Shown(name_) + (line > 0 ? ":" + std::to_string(line) : "") + ")";
  }

 private:
  std::string name_;
  int flag_;
};

// yaml-cpp takes byte 4 for the end of the text and guesses encodings; so it sees clean UTF-8 only.
void CheckText(std::string_view text, const Where& where) {
  if (text.size() > kMaxYamlBytes) Fail("at most 1 MiB of YAML", std::to_string(text.size()) + " bytes" + where.Text(0));
  int line = 1;
  while (!text.empty()) {
    const utf8::CodePoint point = utf8::Next(text);
    if (!point.valid) Fail("UTF-8 text", "the byte " + Shown(text.substr(0, 1)) + where.Text(line));
    const char32_t c = point.value;
    if ((c < 0x20 && c != '\n' && c != '\t' && c != '\r') || c == 0x7F || c == 0xFEFF) {
      Fail("text without control characters", Shown(text.substr(0, point.length)) + where.Text(line));
    }
    line += c == '\n';
    text.remove_prefix(point.length);
  }
}

// Builds the tree from the parser's events; the levels still open are on a stack.
class Builder : public YAML::EventHandler {
 public:
  explicit Builder(const Where& where) : where_(where) {}

  Node Take() { return std::move(root_); }
  int documents() const { return documents_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) Fail("one YAML document", "a second one" + At(mark));
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Check(mark, "", anchor);
    if (InKey()) Fail("a name before the colon", "nothing" + At(mark));
    Add(Node::Null(), mark);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { Fail("YAML without aliases", "an alias (*)" + At(mark)); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& value) override {
    Check(mark, tag, anchor);
    if (InKey()) {
      open_.back().keys.push_back(value);
      key_lines_.push_back(mark.line + 1);
      return;
    }
    Add(Node::Scalar(value, tag == "!"), mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    Open(Node::List(), mark, tag, anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    Open(Node::Map(), mark, tag, anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapEnd() override {
    CheckDuplicates();
    Close();
  }

 private:
  std::string At(const YAML::Mark& mark) const { return where_.Text(mark.line + 1); }

  // The next scalar is a key of the innermost map.
  bool InKey() const { return !open_.empty() && open_.back().is_map() && open_.back().keys.size() == open_.back().items.size(); }

  void Check(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0) Fail("YAML without anchors", "an anchor (&)" + At(mark));
    if (!tag.empty() && tag != "?" && tag != "!") Fail("YAML without tags", Shown(tag) + At(mark));
    if (++nodes_ > kMaxNodes) Fail("at most " + std::to_string(kMaxNodes) + " values", "more" + At(mark));
  }

  void Open(Node node, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    Check(mark, tag, anchor);
    if (InKey()) Fail("a name before the colon", "a list or map" + At(mark));
    if (open_.size() >= static_cast<size_t>(kMaxDepth)) {
      Fail("at most " + std::to_string(kMaxDepth) + " levels of lists and maps", "more" + At(mark));
    }
    node.origin = where_.At(mark.line + 1);
    open_.push_back(std::move(node));
    first_key_.push_back(key_lines_.size());
  }

  void Close() {
    Node node = std::move(open_.back());
    open_.pop_back();
    key_lines_.resize(first_key_.back());
    first_key_.pop_back();
    Place(std::move(node));
  }

  void Add(Node node, const YAML::Mark& mark) {
    node.origin = where_.At(mark.line + 1);
    Place(std::move(node));
  }

  void Place(Node node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    // A list below a key begins on a later line than the key; messages name the key's.
    if (open_.back().is_map() && node.origin.line > 0) node.origin.line = key_lines_.back();
    open_.back().items.push_back(std::move(node));
  }

  void CheckDuplicates() {
    const Node& map = open_.back();
    std::vector<size_t> order(map.keys.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      const int c = map.keys[a].compare(map.keys[b]);
      return c != 0 ? c < 0 : a < b;
    });
    for (size_t i = 1; i < order.size(); ++i) {
      const std::string& key = map.keys[order[i]];
      if (key != map.keys[order[i - 1]]) continue;
      Fail("every option once", "a second " + Shown(key) + where_.Text(key_lines_[first_key_.back() + order[i]]));
    }
  }

  const Where& where_;
  Node root_;
  std::vector<Node> open_;
  std::vector<int> key_lines_;     // of the keys of the open maps
  std::vector<size_t> first_key_;  // per open node: where its keys begin in key_lines_
  size_t nodes_ = 0;
  int documents_ = 0;
};

// A stream over text that it does not copy.
class ViewBuffer : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());
    setg(begin, begin, begin + text.size());
  }
};

}  // namespace

void CheckText(std::string_view text, std::string_view name, int flag) { CheckText(text, Where(name, flag)); }

Node ParseYaml(std::string_view text, std::string_view name, int flag) {
  const Where where(name, flag);
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  CheckText(text, where);
  ViewBuffer buffer(text);
  std::istream stream(&buffer);
  Builder builder(where);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& e) {
    Fail("YAML", Shown(e.msg) + where.Text(e.mark.is_null() ? 0 : e.mark.line + 1));
  }
  return builder.Take();
}

}  // namespace attend::config
