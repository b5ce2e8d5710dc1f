#pragma once

#include <cstdint>
#include <memory>

#include "attend/data/stream.h"

namespace attend::data {

// A stream whose next batches are prepared by a thread of its own while the current one trains.
class PrefetchedStream {
 public:
  explicit PrefetchedStream(std::unique_ptr<Stream> stream, int depth = 4);
  ~PrefetchedStream();                                    // stops the thread
  Batch Next();                                           // what the stream threw is thrown here
  const Position& position() const { return position_; }  // behind the last batch that Next returned
  int64_t examples() const { return examples_; }          // an epoch

 private:
  struct Worker;
  Position position_;
  int64_t examples_;
  std::unique_ptr<Worker> worker_;
};

}  // namespace attend::data
