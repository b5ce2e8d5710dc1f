#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "attend/data/stream.h"

namespace attend::data {

// A text as one row of tokens.
struct TokenText {
  std::vector<int32_t> ids;
  int64_t characters = 0;  // code points of the text, line ends included
};

struct TokenStreamOptions {
  int64_t rows = 32;    // of a batch
  int64_t length = 64;  // tokens of a row
  bool carry = false;   // row r of a batch goes on where row r of the one before ended; else rows are pieces from anywhere
  int32_t before = 0;   // what stands before the first token of the text
  uint64_t seed = 1;
  int rank = 0, world = 1;  // this process takes rows rank, rank + world, ... of every batch
};

// The endless stream of batches of a text, for language models: the fields "target" (rows, length), what is to be told, and "before"
// (rows, 1), the token before the first of each row. No padding but at the end of the rows that carry on. Batch::examples holds the number
// of the piece in the text (of the row, where rows carry on), which keys its draws.
//
// Pieces from anywhere: each epoch begins at another of the first `length` tokens, cuts the text into pieces from there and takes all of
// them in a keyed order. Rows that carry on: the text is cut into `rows` long rows of equal length, which are read side by side; what is
// left over at its end is not read.
class TokenStream : public Stream {
 public:
  // UserError when the text is shorter than two pieces (two tokens a row, where rows carry on), or the position lies outside it.
  TokenStream(std::shared_ptr<const TokenText> text, const TokenStreamOptions& options, Position start = {});
  Batch Next() override;
  const Position& position() const override { return position_; }
  int64_t examples() const override { return examples_; }

  // All of a text once in order: what a model is judged by. Rows that carry on are `rows` parts of the text side by side, some a token
  // longer than others; a row that has ended has length 0.
  static std::vector<Batch> InOrder(const TokenText& text, const TokenStreamOptions& options);
  // Windows of `length` tokens that move by `stride`; the field "skip" (rows, 1) says how many of a window's first tokens are only read.
  static std::vector<Batch> Sliding(const TokenText& text, const TokenStreamOptions& options, int64_t stride);

 private:
  int64_t Phase(int64_t epoch) const;
  int64_t Batches(int64_t epoch) const;  // of an epoch

  std::shared_ptr<const TokenText> text_;
  TokenStreamOptions options_;
  Position position_;
  int64_t examples_;
};

}  // namespace attend::data
