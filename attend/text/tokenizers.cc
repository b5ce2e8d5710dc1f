#include "attend/text/tokenizers.h"

#include <filesystem>

#include "attend/text/storage.h"

namespace attend::text {
namespace {

constexpr const char* kShared = "tokenizer.json";
constexpr const char* kSource = "source.tokenizer.json";
constexpr const char* kTarget = "target.tokenizer.json";

std::string In(const std::string& directory, const char* name) { return (std::filesystem::path(directory) / name).string(); }

}  // namespace

TrainedPair TrainTokenizers(const TextOptions& options, std::span<const Lines> source, std::span<const Lines> target, uint64_t seed) {
  TrainedPair out;
  if (options.shared) {
    std::vector<Lines> both(source.begin(), source.end());
    both.insert(both.end(), target.begin(), target.end());
    Trained trained = TrainTokenizer(options, both, seed);
    out.tokenizers = {trained.tokenizer, trained.tokenizer};
    out.notes = std::move(trained.notes);
    return out;
  }
  Trained of_source = TrainTokenizer(options, source, seed), of_target = TrainTokenizer(options, target, seed);
  out.tokenizers = {of_source.tokenizer, of_target.tokenizer};
  for (const std::string& note : of_source.notes) out.notes.push_back("source: " + note);
  for (const std::string& note : of_target.notes) out.notes.push_back("target: " + note);
  return out;
}

void SaveTokenizers(const Tokenizers& tokenizers, const std::string& directory) {
  if (tokenizers.shared()) {
    SaveTokenizer(*tokenizers.source, In(directory, kShared));
  } else {
    SaveTokenizer(*tokenizers.source, In(directory, kSource));
    SaveTokenizer(*tokenizers.target, In(directory, kTarget));
  }
}

Tokenizers LoadTokenizers(const std::string& directory) {
  if (std::filesystem::exists(In(directory, kSource)))
    return {LoadTokenizer(In(directory, kSource)), LoadTokenizer(In(directory, kTarget))};
  const auto shared = LoadTokenizer(In(directory, kShared));
  return {shared, shared};
}

}  // namespace attend::text
