#include "attend/models/workers.h"

#include <ATen/Parallel.h>
#include <ATen/ThreadLocalState.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace attend::models {

struct Workers::State {
  std::mutex mutex;
  std::condition_variable work, done;
  const std::function<void(int64_t)>* task = nullptr;
  const at::ThreadLocalState* thread_state = nullptr;
  int64_t ready = 0, next = 0, tasks = 0, running = 0;
  int each = 1;  // threads of linear algebra of a task
  bool stop = false;
  std::vector<std::exception_ptr> errors;
  std::vector<std::thread> threads;

  void Loop() {
    // Torch initialises the number of each new thread once in every library that uses it: all of that here, where it would otherwise
    // come later and undo what follows.
    at::get_num_threads();
    at::internal::lazy_init_num_threads();
    at::set_num_threads(1);
    std::unique_lock lock(mutex);
    ready++;
    done.notify_all();
    while (true) {
      work.wait(lock, [&] { return stop || next < tasks; });
      if (stop) return;
      const int64_t mine = next++;
      running++;
      lock.unlock();
      std::exception_ptr error;
      if (each > 1) at::set_num_threads(each);
      try {
        at::ThreadLocalStateGuard guard(*thread_state);
        (*task)(mine);
      } catch (...) {
        error = std::current_exception();
      }
      if (each > 1) at::set_num_threads(1);
      lock.lock();
      errors[static_cast<size_t>(mine)] = error;
      running--;
      if (next == tasks && running == 0) done.notify_all();
    }
  }
};

Workers::Workers(int count) : state_(std::make_unique<State>()) {
  // The number is each thread's own, but torch also keeps the last one set for threads to come: that stays as it was.
  const int others = at::get_num_threads();
  for (int i = 0; i < count; i++) state_->threads.emplace_back([this] { state_->Loop(); });
  std::unique_lock lock(state_->mutex);
  state_->done.wait(lock, [&] { return state_->ready == count; });
  at::set_num_threads(others);
}

Workers::~Workers() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->work.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

int Workers::count() const { return static_cast<int>(state_->threads.size()); }

void Workers::Run(int64_t tasks, const std::function<void(int64_t)>& task, bool shared) {
  if (tasks <= 0) return;
  State& s = *state_;
  const at::ThreadLocalState thread_state;
  std::unique_lock lock(s.mutex);
  s.errors.assign(static_cast<size_t>(tasks), nullptr);
  s.task = &task;
  s.thread_state = &thread_state;
  s.next = 0;
  s.tasks = tasks;
  s.each = shared ? std::max(1, static_cast<int>(count() / tasks)) : 1;
  s.work.notify_all();
  s.done.wait(lock, [&] { return s.next == s.tasks && s.running == 0; });
  s.tasks = s.next = 0;
  if (s.each > 1) at::set_num_threads(at::get_num_threads());  // what torch keeps for threads to come
  for (const std::exception_ptr& error : s.errors)
    if (error) std::rethrow_exception(error);
}

}  // namespace attend::models
