#include <algorithm>

#include "attend/base/utf8.h"
#include "attend/config/errors.h"
#include "attend/config/options.h"
#include "attend/config/outline.h"

namespace attend::config::internal {
namespace {

// Lines in two columns.
class Page {
 public:
  explicit Page(int width) : width_(static_cast<size_t>(std::max(width, kLeast))) {}

  void Line(const std::string& text) { out_ += text + "\n"; }
  void Blank() { out_ += "\n"; }

  // `left` after `indent` spaces, `right` from column `indent + column` on, wrapped at spaces.
  void Row(size_t indent, const std::string& left, size_t column, const std::string& right) {
    std::string line(indent, ' ');
    line += left;
    const size_t begin = indent + column;
    if (Columns(line) + 2 > begin && !right.empty()) {
      Line(line);
      line.clear();
    }
    bool fresh = true;  // nothing of the right column on this line yet
    for (size_t at = 0; at < right.size();) {
      const size_t end = std::min(right.find(' ', at), right.size());
      const std::string word = right.substr(at, end - at);
      at = end + 1;
      if (!fresh && Columns(line) + 1 + Columns(word) > width_) {
        Line(line);
        line.clear();
        fresh = true;
      }
      line += fresh ? std::string(begin - std::min(begin, Columns(line)), ' ') : " ";
      line += word;
      fresh = false;
    }
    Line(line);
  }

  std::string Take() { return std::move(out_); }

 private:
  static constexpr int kLeast = 60;

  static size_t Columns(std::string_view text) {
    size_t n = 0;
    for (; !text.empty(); text.remove_prefix(utf8::Next(text).length)) ++n;
    return n;
  }

  size_t width_;
  std::string out_;
};

constexpr size_t kColumn = 42;  // where the right column begins

std::string Sentence(const std::string& help, const std::vector<std::string>& facts) {
  std::string out = help;
  for (size_t i = 0; i < facts.size(); ++i) out += (i == 0 ? (help.empty() ? "[" : " [") : "; ") + facts[i];
  return facts.empty() ? out : out + "]";
}

void FieldRows(Page& page, const Spot& record, const Field& field, const std::string& path) {
  constexpr size_t kDefaultWidth = 40;
  const Type& type = field.type();
  std::vector<std::string> facts;
  if (field.required()) facts.emplace_back("required");
  const std::string value = DefaultText(record, field, kDefaultWidth);
  if (!value.empty() && !field.required()) facts.push_back("default " + value);
  if (!field.unit().empty()) facts.push_back(field.unit());
  if (!field.bounds().empty()) facts.push_back(field.bounds().Text());
  const Type* choices = ChoicesOf(type);
  if (choices && !ExplainsChoices(*choices)) {
    std::string names;
    for (const std::string& name : choices->Names()) names += (names.empty() ? "" : ", ") + name;
    facts.push_back("one of " + names);
  }
  if (HasOptions(type)) facts.push_back("more: --help " + path);
  page.Row(2, "--" + path + " <" + type.Describe() + ">", kColumn, Sentence(field.help(), facts));
  if (!choices || !ExplainsChoices(*choices)) return;
  for (const Choice& choice : choices->choices) page.Row(kColumn + 4, std::string(choice.name), 16, std::string(choice.help));
}

void RecordRows(Page& page, const Spot& record, const std::string& path) {
  for (const Field* field : Listed(*record.type)) FieldRows(page, record, *field, Join(path, field->name()));
}

void SpotRows(Page& page, const Spot& spot, const std::string& path) {
  const Type& type = *spot.type;
  if (type.form == Form::record) {
    if (!type.shorthand.empty()) page.Line("  a bare value sets " + Join(path, type.shorthand));
    return RecordRows(page, spot, path);
  }
  if (type.form == Form::variant) {
    const std::string held(type.alternatives[static_cast<size_t>(type.index(spot.value.get()))]().kind);
    page.Row(2, "--" + Join(path, "kind") + " <kind>", kColumn, "[default " + held + "]");
    for (const TypeRef alternative : type.alternatives) {
      page.Blank();
      const Spot inner = AlternativeSpot(spot, alternative());
      page.Line("kind " + std::string(inner.type->kind) + (inner.type->help.empty() ? "" : ": " + std::string(inner.type->help)));
      RecordRows(page, inner, path);
    }
    return;
  }
  const std::string element = type.form == Form::list ? Join(path, "0") : path;
  if (HasOptions(type)) SpotRows(page, ElementSpot(spot), element);
}

// What a path names: several where alternatives have fields of the same name and different type.
struct Found {
  Spot spot;
  Spot record;                   // that declares it
  const Field* field = nullptr;  // none for an element of a list
};

class Finder {
 public:
  explicit Finder(const Type& root) : root_(root) {}

  std::vector<Found> Find(std::string_view path) {
    std::vector<Found> found = {{RootSpot(root_), {}, nullptr}};
    while (!path.empty()) {
      const size_t dot = std::min(path.find('.'), path.size());
      std::vector<Found> below;
      for (const Found& from : found) Step(from.spot, path.substr(0, dot), below);
      if (below.empty()) FailStep(found[0].spot, path.substr(0, dot));
      found = std::move(below);
      walked_ = Join(walked_, path.substr(0, dot));
      path.remove_prefix(std::min(dot + 1, path.size()));
    }
    return found;
  }

 private:
  static bool IsIndex(std::string_view name) {
    return name == "N" || std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  }

  static void Step(const Spot& spot, std::string_view name, std::vector<Found>& out) {
    const Type& type = *spot.type;
    if (type.form == Form::record) {
      const Field* field = type.Find(name);
      const auto same = [&](const Found& f) { return f.field && &f.field->type() == &field->type(); };
      if (field && std::none_of(out.begin(), out.end(), same)) out.push_back({FieldSpot(spot, *field), spot, field});
    } else if (type.form == Form::variant) {
      // The default alternative comes first: its defaults are those shown.
      const size_t held = static_cast<size_t>(type.index(spot.value.get()));
      Step(AlternativeSpot(spot, type.alternatives[held]()), name, out);
      for (const TypeRef alternative : type.alternatives) Step(AlternativeSpot(spot, alternative()), name, out);
      if (name == "kind") out.push_back({spot, {}, nullptr});
    } else if (type.element && IsIndex(name)) {
      out.push_back({ElementSpot(spot), {}, nullptr});
    } else if (type.form == Form::one_or_many) {
      Step(ElementSpot(spot), name, out);
    }
  }

  [[noreturn]] void FailStep(const Spot& spot, std::string_view name) const {
    const Type* type = spot.type;
    while (type->form == Form::one_or_many) type = &type->element();
    if (type->form == Form::record) FailUnknown(root_, *type, nullptr, walked_, name, "");
    if (type->form == Form::variant) FailUnknown(root_, type->alternatives[0](), type, walked_, name, "");
    Fail(type->form == Form::list ? "an index of " + walked_ : "no option below " + walked_, Shown(name));
  }

  const Type& root_;
  std::string walked_;
};

}  // namespace

std::string Help(const Type& type, std::string_view path, int width) {
  Page page(width);
  bool first = true;
  for (const Found& found : Finder(type).Find(path)) {
    if (!first) page.Blank();
    first = false;
    const std::string here(path);
    if (found.field && !HasOptions(found.field->type())) {
      FieldRows(page, found.record, *found.field, here);
      continue;
    }
    std::string title = path.empty() ? "options" : "options of " + here;
    if (found.field) title += ": " + found.field->help();
    page.Line(title);
    SpotRows(page, found.spot, here);
  }
  return page.Take();
}

}  // namespace attend::config::internal
