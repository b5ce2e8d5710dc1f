#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "attend/config/errors.h"
#include "attend/config/options.h"
#include "attend/config/outline.h"
#include "attend/config/yaml.h"

namespace attend::config::internal {
namespace {

std::string Code(const std::string& text) { return text.empty() ? "" : "`" + text + "`"; }

// Text for a cell of a table.
std::string Cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

// A type with its default values: what one section describes, wherever it stands.
using Subject = std::pair<const Type*, std::string>;
Subject SubjectOf(const Spot& spot) { return {spot.type, FlowYaml(ToTree(*spot.type, spot.value.get()))}; }

// A part of the tree that may need a section.
struct Place {
  Spot spot;
  std::string path;
  // The same without lists around it.
  Place Unwrapped() const {
    Place p = *this;
    while (p.spot.type->element) {
      if (p.spot.type->form == Form::list) p.path += ".N";
      p.spot = ElementSpot(p.spot);
    }
    return p;
  }
};

// The options of a record, or of every kind of a variant, that have options of their own.
std::vector<Place> Below(const Place& place) {
  std::vector<Place> out;
  const auto add = [&](const Spot& record) {
    for (const Field* field : Listed(*record.type))
      if (HasOptions(field->type())) out.push_back({FieldSpot(record, *field), Join(place.path, field->name())});
  };
  if (place.spot.type->form == Form::record) {
    add(place.spot);
  } else {
    for (const TypeRef alternative : place.spot.type->alternatives) add(AlternativeSpot(place.spot, alternative()));
  }
  return out;
}

// Where each subject is described: at the shortest of its paths.
std::map<Subject, std::string> Homes(const Spot& root) {
  std::map<Subject, std::string> homes;
  std::deque<Place> queue = {{root, ""}};
  for (; !queue.empty(); queue.pop_front()) {
    const Place place = queue.front().Unwrapped();
    if (!homes.try_emplace(SubjectOf(place.spot), place.path).second) continue;
    for (Place& below : Below(place)) queue.push_back(std::move(below));
  }
  return homes;
}

class Writer {
 public:
  Writer(std::string_view title, const Spot& root) : out_("# " + std::string(title) + "\n"), homes_(Homes(root)) {}

  // A section for what stands at `path`, followed by those of its options; the path of an equal one when it is described elsewhere.
  std::string Section(const Spot& spot, const std::string& path) {
    const Type& type = *spot.type;
    if (type.element) return Section(ElementSpot(spot), type.form == Form::list ? path + ".N" : path);
    const auto open = open_.find(&type);
    if (open != open_.end()) return open->second;
    const std::string& home = homes_.at(SubjectOf(spot));
    if (home != path) return home;
    open_[&type] = path;
    Heading(type, path);
    std::vector<Linked> below;
    if (type.form == Form::record) {
      Table(spot, path, below);
    } else {
      Variant(spot, path, below);
    }
    // The table is written before the sections below it, but links to them: a mark is replaced when their place is known.
    for (const Linked& b : below) Link(b, Section(b.spot, b.path));
    open_.erase(&type);
    return path;
  }

  std::string Take() { return std::move(out_); }

 private:
  struct Linked {
    Spot spot;
    std::string path;
    std::string mark;
  };

  void Heading(const Type& type, const std::string& path) {
    out_ += "\n";
    if (!path.empty()) out_ += "<a id=\"" + path + "\"></a>\n## " + path + "\n\n";
    if (!type.help.empty()) out_ += std::string(type.help) + ".\n\n";
    if (!type.shorthand.empty()) out_ += "A bare value sets " + Code(std::string(type.shorthand)) + ".\n\n";
  }

  void Variant(const Spot& spot, const std::string& path, std::vector<Linked>& below) {
    const Type& type = *spot.type;
    const std::string held(type.alternatives[static_cast<size_t>(type.index(spot.value.get()))]().kind);
    out_ += Code("kind") + " chooses one of these (default " + Code(held) + "):\n\n";
    for (const TypeRef alternative : type.alternatives) {
      const Type& record = alternative();
      out_ += "- " + Code(std::string(record.kind)) + (record.help.empty() ? "" : ": " + std::string(record.help)) + "\n";
    }
    for (const TypeRef alternative : type.alternatives) {
      if (alternative().fields.empty()) continue;
      out_ += "\n### " + path + ", kind " + std::string(alternative().kind) + "\n\n";
      Table(AlternativeSpot(spot, alternative()), path, below);
    }
  }

  void Table(const Spot& record, const std::string& path, std::vector<Linked>& below) {
    constexpr size_t kDefaultWidth = 80;
    if (record.type->fields.empty()) return;
    out_ += "| option | type | default | bounds | unit | meaning |\n|---|---|---|---|---|---|\n";
    for (const Field* field : Listed(*record.type)) {
      const Type& type = field->type();
      std::string form = Cell(type.Describe());
      if (HasOptions(type)) {
        below.push_back({FieldSpot(record, *field), Join(path, field->name()), "\x01" + std::to_string(marks_++) + "\x02"});
        form = "[" + form + "](" + below.back().mark + ")";
      } else if (const Type* choices = ChoicesOf(type)) {
        form += ":";
        for (const std::string& name : choices->Names()) form += " " + Code(name);
      }
      const std::string value = field->required() ? "required" : Code(Cell(DefaultText(record, *field, kDefaultWidth)));
      out_ += "| " + Code(field->name()) + " | " + form + " | " + (value == "`unset`" ? "unset" : value) + " | " + field->bounds().Text() +
              " | " + Cell(field->unit()) + " | " + Cell(field->help()) + " |\n";
    }
    for (const Field* field : Listed(*record.type)) Choices(*field);
  }

  void Choices(const Field& field) {
    const Type* choices = ChoicesOf(field.type());
    if (!choices || !ExplainsChoices(*choices)) return;
    out_ += "\n" + Code(field.name()) + ":\n\n";
    for (const Choice& c : choices->choices)
      out_ += "- " + Code(std::string(c.name)) + (c.help.empty() ? "" : ": " + std::string(c.help)) + "\n";
  }

  void Link(const Linked& below, const std::string& path) {
    const size_t at = out_.find(below.mark);
    out_.replace(at, below.mark.size(), "#" + path);
  }

  std::string out_;
  std::map<Subject, std::string> homes_;
  std::map<const Type*, std::string> open_;
  int marks_ = 0;
};

}  // namespace

std::string Markdown(const Type& type, std::string_view title) {
  const Spot root = RootSpot(type);
  Writer writer(title, root);
  writer.Section(root, "");
  return writer.Take();
}

}  // namespace attend::config::internal
