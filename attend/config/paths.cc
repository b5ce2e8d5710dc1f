#include <algorithm>
#include <unordered_set>

#include "attend/config/errors.h"
#include "attend/config/options.h"

namespace attend::config::internal {
namespace {

class Collector {
 public:
  void Visit(const Type& type, const std::string& path) {
    switch (type.form) {
      case Form::optional:
      case Form::box:
        return Visit(type.element(), path);
      case Form::list:
      case Form::one_or_many:
        if (type.element().IsScalar()) return Add(path);
        return Visit(type.element(), type.form == Form::list ? Join(path, "0") : path);
      case Form::record:
        return Record(type, path);
      case Form::variant:
        Add(Join(path, "kind"));
        for (TypeRef alternative : type.alternatives) Record(alternative(), path);
        return;
      default:
        return Add(path);
    }
  }

  std::vector<std::string> Take() { return std::move(paths_); }

 private:
  void Record(const Type& type, const std::string& path) {
    if (std::find(open_.begin(), open_.end(), &type) != open_.end()) return;
    open_.push_back(&type);
    for (const Field& field : type.fields) Visit(field.type(), Join(path, field.name()));
    open_.pop_back();
  }

  // Alternatives of a variant share paths.
  void Add(const std::string& path) {
    if (seen_.insert(path).second) paths_.push_back(path);
  }

  std::vector<const Type*> open_;
  std::unordered_set<std::string> seen_;
  std::vector<std::string> paths_;
};

}  // namespace

std::vector<std::string> Paths(const Type& type) {
  Collector collector;
  collector.Visit(type, "");
  return collector.Take();
}

}  // namespace attend::config::internal
