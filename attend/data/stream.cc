#include "attend/data/stream.h"

#include <algorithm>
#include <numeric>

#include "attend/base/error.h"
#include "attend/data/permutation.h"
#include "attend/kernels/random.h"

namespace attend::data {
namespace {

uint64_t ShuffleKey(uint64_t seed, std::string_view purpose, int64_t epoch, int64_t window) {
  return random::RowKey(seed, random::Purpose(purpose), static_cast<uint64_t>(epoch), static_cast<uint64_t>(window));
}

}  // namespace

BatchStream::BatchStream(Corpus corpus, std::vector<Side> sides, StreamOptions options, Position start)
    : corpus_(std::move(corpus)), sides_(std::move(sides)), options_(options), position_(start) {
  windows_ = std::max<int64_t>((corpus_.size() + options_.window - 1) / options_.window, 1);
  if (start.epoch < 0 || start.window < 0 || start.window >= windows_ || start.batch < 0) {
    throw UserError("data", "the corpus that the training state was made with",
                    "one of " + std::to_string(windows_) + " windows of lines where the state is in number " + std::to_string(start.window));
  }
}

// Encodes and cuts the window at position_.
void BatchStream::Load() {
  const Permutation shuffle(corpus_.size(), ShuffleKey(options_.seed, "data:shuffle", position_.epoch, 0));
  examples_.clear();
  std::vector<std::string_view> texts(sides_.size());
  const int64_t last = FirstOf(position_.window + 1);
  for (int64_t i = FirstOf(position_.window); i < last; i++) {
    const int64_t e = options_.shuffle ? shuffle(i) : i;
    for (size_t side = 0; side < sides_.size(); side++) texts[side] = corpus_.Text(e, static_cast<int>(side));
    Example example = EncodeExample(texts, sides_, corpus_.Line(e), options_.seed, position_.epoch, options_.links);
    const bool usable = std::all_of(example.ids.begin(), example.ids.end(), [&](const std::vector<int32_t>& ids) {
      return ids.size() > 1 && static_cast<int64_t>(ids.size()) - 1 <= options_.max_length;
    });
    if (!usable) continue;
    if (options_.links) example.links = corpus_.Links(e);
    examples_.push_back(std::move(example));
  }
  batches_ = CutBatches(examples_, options_.size);
  if (options_.shuffle) {
    std::vector<std::vector<int32_t>> ordered(batches_.size());
    const Permutation order(static_cast<int64_t>(batches_.size()), ShuffleKey(options_.seed, "data:batches", position_.epoch, position_.window));
    for (size_t i = 0; i < ordered.size(); i++) ordered[i] = std::move(batches_[static_cast<size_t>(order(static_cast<int64_t>(i)))]);
    batches_ = std::move(ordered);
  }
  loaded_ = true;
}

// To the beginning of the next window.
void BatchStream::Advance() {
  const int64_t end = FirstOf(position_.window + 1);
  position_.skipped += end - FirstOf(position_.window) - static_cast<int64_t>(examples_.size());
  position_.examples = end;
  position_.batch = 0;
  if (++position_.window == windows_) {
    position_.window = position_.examples = 0;
    position_.epoch++;
  }
  loaded_ = false;
}

Batch BatchStream::Next() {
  for (int64_t empty = 0;; empty++) {
    if (!loaded_) Load();
    if (position_.batch < static_cast<int64_t>(batches_.size())) break;
    if (empty > windows_) {
      throw UserError("data.max_length", "a length that some line stays within", std::to_string(options_.max_length) + " tokens, which every line exceeds");
    }
    Advance();
  }
  std::vector<int32_t> rows = batches_[static_cast<size_t>(position_.batch)];
  const auto all = static_cast<int64_t>(rows.size());
  int64_t target_tokens = 0;
  for (int32_t row : rows) target_tokens += static_cast<int64_t>(examples_[static_cast<size_t>(row)].ids.back().size());
  if (options_.world > 1) {
    std::vector<int32_t> own;
    for (auto i = static_cast<size_t>(options_.rank); i < rows.size(); i += static_cast<size_t>(options_.world)) own.push_back(rows[i]);
    rows = std::move(own);
  }
  Batch batch = MakeBatch(examples_, rows, sides_, options_.links);
  batch.position = position_.batches;
  batch.epoch = position_.epoch;
  batch.target_tokens = target_tokens;

  position_.batches++;
  position_.batch++;
  position_.examples += all;
  if (position_.batch == static_cast<int64_t>(batches_.size())) Advance();
  return batch;
}

}  // namespace attend::data
