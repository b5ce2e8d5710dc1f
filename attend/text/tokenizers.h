#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "attend/text/options.h"
#include "attend/text/tokenizer.h"
#include "attend/text/trainer.h"

namespace attend::text {

// The two sides of a task from text to text; the same object where the vocabulary is shared.
struct Tokenizers {
  std::shared_ptr<const Tokenizer> source, target;
  bool shared() const { return source == target; }
};

struct TrainedPair {
  Tokenizers tokenizers;
  std::vector<std::string> notes;
};

// Vocabularies of source and target, one or two as options.shared says.
TrainedPair TrainTokenizers(const TextOptions& options, std::span<const Lines> source, std::span<const Lines> target, uint64_t seed);

// In a model directory: `tokenizer.json`, or `source.tokenizer.json` and `target.tokenizer.json`.
void SaveTokenizers(const Tokenizers& tokenizers, const std::string& directory);
Tokenizers LoadTokenizers(const std::string& directory);

}  // namespace attend::text
