#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace attend::models {

// Threads that each compute alone: one thread of linear algebra a worker, no barrier inside an operator. Two workers on two halves of
// a batch finish sooner than two threads inside every small product, and a result does not depend on how many there are.
class Workers {
 public:
  explicit Workers(int count);
  ~Workers();
  int count() const;

  // Calls task(0) ... task(tasks - 1), each once, on whichever worker is free; returns when all are done. The first exception (by
  // task number) is thrown here. Gradient mode is the caller's. shared: fewer tasks than workers have the threads of all. Not reentrant.
  void Run(int64_t tasks, const std::function<void(int64_t task)>& task, bool shared = false);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace attend::models
