#include "attend/data/token_stream.h"

#include <algorithm>
#include <string>

#include "attend/base/error.h"
#include "attend/data/permutation.h"
#include "attend/kernels/random.h"

namespace attend::data {
namespace {

// Tokens [begin, begin + length) of a text, and the one before them.
struct Piece {
  int64_t begin = 0, length = 0, example = 0;
};

Batch MakeBatch(const TokenText& text, const std::vector<Piece>& pieces, int32_t before) {
  Batch batch;
  IdField &target = batch.ids["target"], &first = batch.ids["before"];
  target.rows = first.rows = static_cast<int64_t>(pieces.size());
  first.columns = 1;
  for (const Piece& piece : pieces) target.columns = std::max(target.columns, piece.length);
  for (const Piece& piece : pieces) {
    const auto from = text.ids.begin() + piece.begin;
    target.values.insert(target.values.end(), from, from + piece.length);
    target.values.insert(target.values.end(), static_cast<size_t>(target.columns - piece.length), 0);
    target.lengths.push_back(static_cast<int32_t>(piece.length));
    first.values.push_back(piece.begin == 0 ? before : *(from - 1));
    first.lengths.push_back(1);
    batch.examples.push_back(piece.example);
    batch.target_tokens += piece.length;
  }
  return batch;
}

}  // namespace

TokenStream::TokenStream(std::shared_ptr<const TokenText> text, const TokenStreamOptions& options, Position start)
    : text_(std::move(text)), options_(options), position_(start) {
  const auto tokens = static_cast<int64_t>(text_->ids.size()), least = options_.carry ? 2 * options_.rows : 2 * options_.length;
  if (tokens < least)
    throw UserError("data.train", "a text of at least " + std::to_string(least) + " tokens for batches of this size",
                    std::to_string(tokens));
  examples_ = options_.carry ? (tokens / options_.rows + options_.length - 1) / options_.length * options_.rows
                             : std::max<int64_t>(1, tokens / options_.length);
  if (start.epoch < 0 || start.batch < 0 || start.batch >= Batches(start.epoch))
    throw UserError("data", "the text that the training state was made with", "another");
}

int64_t TokenStream::Phase(int64_t epoch) const {
  const uint64_t draw = random::RowKey(options_.seed, random::Purpose("data:phase"), static_cast<uint64_t>(epoch), 0);
  return epoch == 0 ? 0 : static_cast<int64_t>(draw % static_cast<uint64_t>(options_.length));
}

int64_t TokenStream::Batches(int64_t epoch) const {
  const auto tokens = static_cast<int64_t>(text_->ids.size());
  if (options_.carry) return (tokens / options_.rows + options_.length - 1) / options_.length;
  const int64_t pieces = (tokens - Phase(epoch)) / options_.length;
  return (pieces + options_.rows - 1) / options_.rows;
}

Batch TokenStream::Next() {
  const auto tokens = static_cast<int64_t>(text_->ids.size());
  const int64_t number = position_.batch;
  std::vector<Piece> pieces;
  if (options_.carry) {
    const int64_t row = tokens / options_.rows, begin = number * options_.length, length = std::min(options_.length, row - begin);
    for (int64_t r = 0; r < options_.rows; r++) pieces.push_back({r * row + begin, length, r});
  } else {
    const int64_t phase = Phase(position_.epoch), count = (tokens - phase) / options_.length;
    const Permutation order(count,
                            random::RowKey(options_.seed, random::Purpose("data:shuffle"), static_cast<uint64_t>(position_.epoch), 0));
    for (int64_t i = number * options_.rows; i < std::min(count, (number + 1) * options_.rows); i++) {
      const int64_t piece = order(i);
      pieces.push_back({phase + piece * options_.length, options_.length, piece});
    }
  }
  int64_t all = 0;
  for (const Piece& piece : pieces) all += piece.length;
  std::vector<Piece> own;
  for (auto i = static_cast<size_t>(options_.rank); i < pieces.size(); i += static_cast<size_t>(options_.world)) own.push_back(pieces[i]);
  Batch batch = MakeBatch(*text_, own, options_.before);
  batch.position = position_.batches;
  batch.epoch = position_.epoch;
  batch.begins = !options_.carry || number == 0;
  batch.target_tokens = all;

  position_.batches++;
  position_.batch++;
  position_.examples += static_cast<int64_t>(pieces.size());
  if (position_.batch == Batches(position_.epoch)) {
    position_.epoch++;
    position_.batch = 0;
    position_.examples = 0;
  }
  return batch;
}

std::vector<Batch> TokenStream::InOrder(const TokenText& text, const TokenStreamOptions& options) {
  const auto tokens = static_cast<int64_t>(text.ids.size());
  std::vector<Batch> out;
  if (options.carry) {
    const int64_t rows = std::min(options.rows, tokens), longest = (tokens + rows - 1) / rows;
    for (int64_t step = 0; step < longest; step += options.length) {
      std::vector<Piece> pieces;
      for (int64_t r = 0; r < rows; r++) {
        const int64_t begin = r * tokens / rows + step, end = (r + 1) * tokens / rows;
        pieces.push_back({begin, std::clamp<int64_t>(end - begin, 0, options.length), r});
      }
      out.push_back(MakeBatch(text, pieces, options.before));
      out.back().begins = step == 0;
    }
    return out;
  }
  std::vector<Piece> pieces;
  for (int64_t begin = 0; begin < tokens; begin += options.length) {
    pieces.push_back({begin, std::min(options.length, tokens - begin), begin / options.length});
    if (static_cast<int64_t>(pieces.size()) < options.rows && begin + options.length < tokens) continue;
    out.push_back(MakeBatch(text, pieces, options.before));
    pieces.clear();
  }
  return out;
}

std::vector<Batch> TokenStream::Sliding(const TokenText& text, const TokenStreamOptions& options, int64_t stride) {
  const auto tokens = static_cast<int64_t>(text.ids.size());
  std::vector<Batch> out;
  std::vector<Piece> pieces;
  IdField skip;
  for (int64_t counted = 0; counted < tokens;) {
    const int64_t end = std::min(tokens, counted == 0 ? options.length : counted + stride),
                  begin = std::max<int64_t>(0, end - options.length);
    pieces.push_back({begin, end - begin, static_cast<int64_t>(out.size())});
    skip.values.push_back(static_cast<int32_t>(counted - begin));
    counted = end;
    if (static_cast<int64_t>(pieces.size()) < options.rows && counted < tokens) continue;
    out.push_back(MakeBatch(text, pieces, options.before));
    skip.rows = static_cast<int64_t>(pieces.size());
    skip.columns = 1;
    skip.lengths.assign(pieces.size(), 1);
    out.back().ids["skip"] = std::move(skip);
    skip = {};
    pieces.clear();
  }
  return out;
}

}  // namespace attend::data
