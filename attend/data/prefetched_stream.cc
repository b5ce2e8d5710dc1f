#include "attend/data/prefetched_stream.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

namespace attend::data {

struct PrefetchedStream::Worker {
  Worker(std::unique_ptr<Stream> s, size_t d) : stream(std::move(s)), depth(d), thread([this] { Run(); }) {}
  ~Worker() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    changed.notify_all();
    thread.join();
  }

  void Run() {
    try {
      while (true) {
        Batch batch = stream->Next();
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return stop || ready.size() < depth; });
        if (stop) return;
        ready.emplace_back(std::move(batch), stream->position());
        changed.notify_all();
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
      changed.notify_all();
    }
  }

  std::pair<Batch, Position> Take() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return failure || !ready.empty(); });
    if (ready.empty()) std::rethrow_exception(failure);
    std::pair<Batch, Position> out = std::move(ready.front());
    ready.pop_front();
    changed.notify_all();
    return out;
  }

  std::unique_ptr<Stream> stream;  // the thread's own
  const size_t depth;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::pair<Batch, Position>> ready;
  std::exception_ptr failure;
  bool stop = false;
  std::thread thread;  // last: it starts when the rest is there
};

PrefetchedStream::PrefetchedStream(std::unique_ptr<Stream> stream, int depth)
    : position_(stream->position()),
      examples_(stream->examples()),
      worker_(std::make_unique<Worker>(std::move(stream), static_cast<size_t>(depth))) {}
PrefetchedStream::~PrefetchedStream() = default;

Batch PrefetchedStream::Next() {
  auto [batch, position] = worker_->Take();
  position_ = position;
  return std::move(batch);
}

}  // namespace attend::data
