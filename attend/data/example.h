#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "attend/data/batch.h"
#include "attend/data/corpus.h"

namespace attend::data {

// Appends the ids of `text`, without begin or end symbol, and, where `words` is not null, the number of the white space separated word
// that each id belongs to. `key`: of the random draws of subword regularisation. Called from the preparing thread: thread-safe.
using Encode = std::function<void(std::string_view text, uint64_t key, std::vector<int32_t>& ids, std::vector<int32_t>* words)>;

// How one column of a corpus becomes a field of a batch.
struct Side {
  std::string name;  // of the field: "source", "target"
  Encode encode;
  int32_t end = 0;      // appended to every example's ids
  int32_t padding = 0;  // beyond an example's length
};

// One line as ids.
struct Example {
  int64_t line = 0;                         // in the corpus or the input
  std::vector<std::vector<int32_t>> ids;    // (sides), the end symbol included
  std::vector<std::vector<int32_t>> words;  // (sides) the word of each id but the last; empty without links
  std::vector<Link> links;                  // between words
};

// Encodes one text a side (fewer texts than sides: the first ones).
Example EncodeExample(const std::vector<std::string_view>& texts, const std::vector<Side>& sides, int64_t line, uint64_t seed,
                      int64_t epoch, bool words = false);

// The size of a batch: tokens are counted as rows times the longest row of the longer side, padding included (what memory and time
// follow); sentences, when above 0, takes its place. A single example larger than the limit is a batch of its own.
struct BatchSize {
  int64_t tokens = 4000;
  int64_t sentences = 0;
};

// Sorts by the last side's length, longest first, and among equals by the first side's, rising and falling in turn (ties: given order),
// and cuts: each inner list is a batch of indices.
std::vector<std::vector<int32_t>> CutBatches(const std::vector<Example>& examples, const BatchSize& size);

// Pads the chosen examples into a batch: one IdField a side; with links, the FloatField "alignment" (rows, target length, source length):
// each target piece's weights over the source pieces of the words linked to its word, summing to 1, or 0 where nothing is linked
// (the end symbol included). target_tokens counts the last side's ids.
Batch MakeBatch(const std::vector<Example>& examples, const std::vector<int32_t>& rows, const std::vector<Side>& sides, bool links);

// All of `examples` in batches, longest first; Batch::examples holds their lines, by which outputs are put back in order.
std::vector<Batch> SortedBatches(const std::vector<Example>& examples, const std::vector<Side>& sides, const BatchSize& size);

}  // namespace attend::data
