#include "attend/text/storage.h"

#include <nlohmann/json.hpp>

#include "attend/base/error.h"
#include "attend/base/file.h"

namespace attend::text {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormat = "attend tokenizer";
constexpr int kVersion = 1;
constexpr size_t kMaxFileBytes = size_t{256} << 20;

// The value of `key`, as T; `type` in words.
template <class T>
T Get(const Json& json, const char* key, bool (Json::*is)() const noexcept, std::string_view type, const std::string& part) {
  const auto found = json.find(key);
  if (found == json.end() || !((*found).*is)())
    throw UserError(part, std::string(key) + " to be " + std::string(type), found == json.end() ? "none" : found->type_name());
  return found->get<T>();
}

// The list at `key`, of elements for which `is` holds; empty when absent.
template <class T>
std::vector<T> List(const Json& json, const char* key, bool (Json::*is)() const noexcept, std::string_view type, const std::string& part) {
  std::vector<T> out;
  const auto found = json.find(key);
  if (found == json.end()) return out;
  if (!found->is_array()) throw UserError(part, std::string(key) + " to be a list", found->type_name());
  out.reserve(found->size());
  for (const Json& element : *found) {
    if (!(element.*is)()) throw UserError(part, std::string(key) + " to hold " + std::string(type), element.type_name());
    out.push_back(element.get<T>());
  }
  return out;
}

}  // namespace

void SaveTokenizer(const Tokenizer& tokenizer, const std::string& path) {
  const Vocabulary& v = tokenizer.vocabulary();
  const Normaliser& n = tokenizer.normaliser();
  Json json = {{"format", kFormat},
               {"version", kVersion},
               {"tokenizer", Name(tokenizer.kind())},
               {"unicode_form", Name(n.form)},
               {"lowercase", n.lowercase},
               {"collapse_spaces", n.collapse_spaces},
               {"byte_fallback", v.bytes},
               {"pieces", v.pieces}};
  if (!v.scores.empty()) json["scores"] = v.scores;
  if (!v.joins.empty()) json["joins"] = v.joins;
  WriteFile(path, json.dump(1) + "\n");
}

std::shared_ptr<const Tokenizer> LoadTokenizer(const std::string& path) {
  const std::string& part = path;
  const Json json = Json::parse(ReadFile(path, "tokenizer", kMaxFileBytes), nullptr, false);
  if (json.is_discarded() || !json.is_object()) throw UserError(part, "a tokenizer file (JSON)", "something else");
  if (Get<std::string>(json, "format", &Json::is_string, "a string", part) != kFormat)
    throw UserError(part, "format: " + std::string(kFormat), "another format");
  if (const auto version = Get<int64_t>(json, "version", &Json::is_number_integer, "a number", part); version != kVersion)
    throw UserError(part, "version " + std::to_string(kVersion), std::to_string(version));
  const auto kind = ParseChoice<TokenizerKind>(part, Get<std::string>(json, "tokenizer", &Json::is_string, "a string", part));
  Normaliser normaliser;
  normaliser.form = ParseChoice<UnicodeForm>(part, Get<std::string>(json, "unicode_form", &Json::is_string, "a string", part));
  normaliser.lowercase = Get<bool>(json, "lowercase", &Json::is_boolean, "true or false", part);
  normaliser.collapse_spaces = Get<bool>(json, "collapse_spaces", &Json::is_boolean, "true or false", part);
  Vocabulary v;
  v.bytes = Get<bool>(json, "byte_fallback", &Json::is_boolean, "true or false", part);
  v.pieces = List<std::string>(json, "pieces", &Json::is_string, "strings", part);
  v.scores = List<float>(json, "scores", &Json::is_number, "numbers", part);
  for (uint64_t join : List<uint64_t>(json, "joins", &Json::is_number_unsigned, "numbers from 0", part))
    v.joins.push_back(static_cast<uint8_t>(join > 255 ? 255 : join));
  return MakeTokenizer(kind, normaliser, std::move(v), part);
}

}  // namespace attend::text
