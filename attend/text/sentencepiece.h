#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attend/text/options.h"
#include "attend/text/vocabulary.h"

namespace attend::text {

// A normalised word (without its space) or line and how often it occurs.
struct Counted {
  std::string text;
  int64_t count;
};

// Trains sentencepiece (Kudo and Richardson 2018) on `items`, which must not be empty, and returns its model, a serialised protocol
// buffer, of at most `vocabulary` pieces. Its own normalisation is off; its log is silenced, for the whole process, for good.
// Throws UserError with what sentencepiece says when it cannot.
std::string TrainSentencePiece(const TextOptions& options, int64_t vocabulary, double coverage, const std::vector<Counted>& items);

// The pieces and scores of a model made by TrainSentencePiece.
Vocabulary ReadSentencePiece(const std::string& model);

}  // namespace attend::text
