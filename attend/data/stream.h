#pragma once

#include <cstdint>
#include <vector>

#include "attend/data/example.h"

namespace attend::data {

// Where a stream stands: between two batches. Saved in the training state; a stream opened at a position goes on bit for bit.
struct Position {
  int64_t epoch = 0;
  int64_t window = 0;    // of the epoch
  int64_t batch = 0;     // of the window
  int64_t batches = 0;   // given since the beginning of training
  int64_t examples = 0;  // passed in this epoch, skipped ones included
  int64_t skipped = 0;   // examples since the beginning of training: more tokens than max_length, or none
  friend bool operator==(const Position&, const Position&) = default;
};

struct StreamOptions {
  BatchSize size;
  int64_t max_length = 250;  // tokens a side, the end symbol not counted; longer examples are skipped and counted
  int64_t window = 32768;    // examples; see DataOptions
  uint64_t seed = 1;
  bool shuffle = true;      // false: file order by windows, longest batch of each window first
  bool links = false;       // make the field "alignment"
  int rank = 0, world = 1;  // this process takes rows rank, rank + world, ... of every batch (none of a batch smaller than that)
};

// An endless stream of batches. Not thread-safe.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual Batch Next() = 0;
  virtual const Position& position() const = 0;  // behind the last batch; of the next epoch when that was the epoch's last
  virtual int64_t examples() const = 0;          // an epoch
};

// The endless stream of batches of a corpus: each epoch a new keyed shuffle of all examples, taken window by window; a window is encoded,
// sorted by length, cut into batches, and these are shuffled. While a window's batches are taken, the next window is encoded bit by bit,
// so that every batch costs about the same. The stream is the same for every world size; target_tokens is the whole batch's.
class BatchStream : public Stream {
 public:
  // UserError when the position lies outside the corpus.
  BatchStream(Corpus corpus, std::vector<Side> sides, StreamOptions options, Position start = {});
  // UserError when a whole epoch holds no example within max_length.
  Batch Next() override;
  const Position& position() const override { return position_; }
  int64_t examples() const override { return corpus_.size(); }

 private:
  // One window of one epoch: examples [next, end) of the shuffled order are still to be encoded.
  struct Window {
    int64_t epoch = 0, number = 0, begin = 0, end = 0, next = 0;
    std::vector<Example> examples;              // those within max_length
    std::vector<std::vector<int32_t>> batches;  // rows of examples; in order
  };
  Window MakeWindow(int64_t epoch, int64_t number) const;
  void Encode(Window& window, int64_t count) const;  // the next `count` examples
  void Cut(Window& window) const;
  void Advance();

  Corpus corpus_;
  std::vector<Side> sides_;
  StreamOptions options_;
  Position position_;
  int64_t windows_;
  Window current_, next_;
};

}  // namespace attend::data
