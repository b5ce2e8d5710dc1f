#pragma once

#include "attend/nn/attention.h"

namespace attend::nn {

// The keys and values of the tokens that a decoder has written so far, for one layer of attention: rows of a store, a column a position.
// Nothing is copied when rows are dropped, repeated or reordered: a row's past may lie in other rows of the store, as `rows` says.
class AttentionCache {
 public:
  // step: of one new position, a row a query row; it goes to the same rows of the store.
  void Put(const AttentionMemory& step, int64_t position);
  // All positions up to and with the last one. rows (R, positions): row of the store that holds each; undefined: its own.
  AttentionMemory Read(const at::Tensor& rows) const;

 private:
  AttentionMemory store_;  // room for more rows and positions than there are
  int64_t positions_ = 0;
};

// Which row of the store holds each position of each query row, for all layers of a decoder.
class CacheRows {
 public:
  explicit CacheRows(int64_t rows) : rows_(rows) {}
  void Select(const at::Tensor& parents);  // (new rows) int64: new row i goes on from row parents[i]
  void Advance();                          // each row put one more position
  // (rows, positions) int64, or undefined while every row lies in its own.
  at::Tensor table() const { return table_; }
  int64_t positions() const { return positions_; }

 private:
  int64_t rows_, positions_ = 0;
  at::Tensor table_;
};

}  // namespace attend::nn
