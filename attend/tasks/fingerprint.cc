#include "attend/tasks/fingerprint.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "attend/base/error.h"
#include "attend/base/file.h"
#include "attend/base/hash.h"

namespace attend::tasks {
namespace {

using Json = nlohmann::ordered_json;

void Add(const std::string& set, const data::FilesOptions& files, bool links, Json& out) {
  using Files = data::FilesOptions::Files;
  const std::pair<const char*, const Files*> columns[] = {
      {"source", &files.source}, {"target", &files.target}, {"tsv", &files.tsv}, {"alignments", &files.alignments}, {"text", &files.text}};
  for (const auto& [name, column] : columns) {
    if (column == &files.alignments && !links) continue;
    const std::string option = set + "." + name;
    for (const std::string& path : column->values()) {
      const MappedFile file(path, option);
      file.ExpectSequential();
      out.push_back({{"option", option}, {"path", path}, {"bytes", file.bytes().size()}, {"xxh64", Hex(Hash(file.bytes()))}});
    }
  }
}

std::string Contents(const Json& file) { return file.at("bytes").dump() + " bytes, xxh64 " + file.at("xxh64").get<std::string>(); }

}  // namespace

std::string Fingerprint(const data::DataOptions& options, bool links) {
  Json out = Json::array();
  Add("data.train", options.train, links, out);
  Add("data.valid", options.valid, false, out);
  return out.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

void ExpectSameFiles(const std::string& then, const std::string& now, const std::string& out) {
  if (then == now) return;
  try {
    const Json before = Json::parse(then), after = Json::parse(now);
    for (size_t i = 0; i < after.size(); i++) {
      const Json& was = before.at(i);
      const Json& is = after[i];
      if (was == is) continue;
      throw UserError(is.at("option").get<std::string>(),
                      "the text that the run in " + out + " began with (" + Contents(was) + "), or --restart",
                      is.at("path").get<std::string>() + ", which has changed since (" + Contents(is) + ")");
    }
  } catch (const Json::exception&) {
  }
  throw UserError("out", "the list of files that the run in " + out + " began with, or --restart", "a damaged one");
}

}  // namespace attend::tasks
