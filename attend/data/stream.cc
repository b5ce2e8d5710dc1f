#include "attend/data/stream.h"

#include <algorithm>

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
    throw UserError(
        "data", "the corpus that the training state was made with",
        "one of " + std::to_string(windows_) + " windows of lines where the state is in number " + std::to_string(start.window));
  }
}

BatchStream::Window BatchStream::MakeWindow(int64_t epoch, int64_t number) const {
  Window window;
  window.epoch = epoch + number / windows_;
  window.number = number % windows_;
  window.begin = window.next = corpus_.size() * window.number / windows_;
  window.end = corpus_.size() * (window.number + 1) / windows_;
  return window;
}

void BatchStream::Encode(Window& window, int64_t count) const {
  const Permutation shuffle(corpus_.size(), ShuffleKey(options_.seed, "data:shuffle", window.epoch, 0));
  std::vector<std::string_view> texts(sides_.size());
  for (const int64_t last = std::min(window.next + count, window.end); window.next < last; window.next++) {
    const int64_t e = options_.shuffle ? shuffle(window.next) : window.next;
    for (size_t side = 0; side < sides_.size(); side++) texts[side] = corpus_.Text(e, static_cast<int>(side));
    Example example = EncodeExample(texts, sides_, corpus_.Line(e), options_.seed, window.epoch, options_.links);
    const bool usable = std::all_of(example.ids.begin(), example.ids.end(), [&](const std::vector<int32_t>& ids) {
      return ids.size() > 1 && static_cast<int64_t>(ids.size()) - 1 <= options_.max_length;
    });
    if (!usable) continue;
    if (options_.links) example.links = corpus_.Links(e);
    window.examples.push_back(std::move(example));
  }
}

void BatchStream::Cut(Window& window) const {
  std::vector<std::vector<int32_t>> sorted = CutBatches(window.examples, options_.size);
  window.batches.resize(sorted.size());
  const Permutation order(static_cast<int64_t>(sorted.size()), ShuffleKey(options_.seed, "data:batches", window.epoch, window.number));
  for (size_t i = 0; i < sorted.size(); i++) {
    window.batches[i] = std::move(sorted[options_.shuffle ? static_cast<size_t>(order(static_cast<int64_t>(i))) : i]);
  }
}

// To the beginning of the next window.
void BatchStream::Advance() {
  position_.skipped += current_.end - current_.begin - static_cast<int64_t>(current_.examples.size());
  current_ = std::move(next_);
  Encode(current_, current_.end - current_.next);
  Cut(current_);
  next_ = MakeWindow(current_.epoch, current_.number + 1);
  position_.epoch = current_.epoch;
  position_.window = current_.number;
  position_.examples = current_.begin;
  position_.batch = 0;
}

Batch BatchStream::Next() {
  if (current_.end == 0) {  // the first call
    current_ = MakeWindow(position_.epoch, position_.window);
    Encode(current_, current_.end - current_.begin);
    Cut(current_);
    next_ = MakeWindow(current_.epoch, current_.number + 1);
  }
  for (int64_t empty = 0; position_.batch >= static_cast<int64_t>(current_.batches.size()); empty++) {
    if (empty > windows_) {
      throw UserError("data.max_length", "a length that some line stays within",
                      std::to_string(options_.max_length) + " tokens, which every line exceeds");
    }
    Advance();
  }
  const std::vector<int32_t>& all = current_.batches[static_cast<size_t>(position_.batch)];
  std::vector<int32_t> rows;
  for (auto i = static_cast<size_t>(options_.rank); i < all.size(); i += static_cast<size_t>(options_.world)) rows.push_back(all[i]);
  Batch batch = MakeBatch(current_.examples, rows, sides_, options_.links);
  batch.position = position_.batches;
  batch.epoch = position_.epoch;
  batch.target_tokens = 0;
  for (int32_t row : all) batch.target_tokens += static_cast<int64_t>(current_.examples[static_cast<size_t>(row)].ids.back().size());

  const auto batches = static_cast<int64_t>(current_.batches.size());
  position_.batches++;
  position_.batch++;
  position_.examples += static_cast<int64_t>(all.size());
  Encode(next_, (next_.end - next_.begin + batches - 1) / batches);
  if (position_.batch == batches) Advance();
  return batch;
}

}  // namespace attend::data
