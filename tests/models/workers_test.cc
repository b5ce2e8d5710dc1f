#include "attend/models/workers.h"

#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <atomic>
#include <thread>
#include <vector>

#include "attend/base/error.h"
#include "gtest/gtest.h"

namespace attend::models {
namespace {

TEST(Workers, EachTaskRunsOnceAndTheFirstErrorIsThrown) {
  for (int count : {1, 2, 5}) {
    Workers workers(count);
    EXPECT_EQ(workers.count(), count);
    for (int64_t tasks : {0, 1, 2, 100}) {
      std::vector<std::atomic<int>> calls(static_cast<size_t>(tasks));
      workers.Run(tasks, [&](int64_t k) { calls[static_cast<size_t>(k)]++; });
      for (const auto& c : calls) EXPECT_EQ(c, 1);
    }
    std::atomic<int> finished = 0;
    try {
      workers.Run(8, [&](int64_t k) {
        if (k == 3 || k == 6) throw UserError("task", "nothing", std::to_string(k));
        finished++;
      });
      FAIL();
    } catch (const UserError& e) {
      EXPECT_STREQ(e.what(), "[task] expected nothing; found 3");
    }
    EXPECT_EQ(finished, 6);
    workers.Run(1, [&](int64_t) { finished++; });  // goes on after an error
    EXPECT_EQ(finished, 7);
  }
}

TEST(Workers, FewTasksMayHaveTheThreadsOfAll) {
  const int before = at::get_num_threads();
  Workers workers(4);
  for (const auto& [tasks, threads] : {std::pair<int64_t, int>{1, 4}, {2, 2}, {3, 1}, {4, 1}, {9, 1}}) {
    std::atomic<int> alike = 0;
    workers.Run(
        tasks, [&, expected = threads](int64_t) { alike += at::get_num_threads() == expected; }, /*shared=*/true);
    EXPECT_EQ(alike, tasks);
    workers.Run(1, [&](int64_t) { alike += at::get_num_threads() == 1; });
    EXPECT_EQ(alike, tasks + 1);
  }
  EXPECT_EQ(at::get_num_threads(), before);
  int elsewhere = 0;
  std::thread([&] { elsewhere = at::get_num_threads(); }).join();
  EXPECT_EQ(elsewhere, before);
}

TEST(Workers, GradientModeIsTheCallersAndLinearAlgebraHasOneThread) {
  const int before = at::get_num_threads();
  Workers workers(2);
  for (bool grad : {true, false}) {
    const at::AutoGradMode mode(grad);
    std::atomic<int> same = 0;
    workers.Run(4, [&](int64_t) { same += at::GradMode::is_enabled() == grad && at::get_num_threads() == 1; });
    EXPECT_EQ(same, 4);
  }
  EXPECT_EQ(at::get_num_threads(), before);
  int elsewhere = 0;
  std::thread([&] { elsewhere = at::get_num_threads(); }).join();
  EXPECT_EQ(elsewhere, before);  // other threads of the program too
}

// Also after work that torch and this library share among threads, each with an initialisation of its own.
TEST(Workers, AWorkerHasOneThreadOfLinearAlgebraAndTheCallerKeepsIts) {
  const int before = at::get_num_threads();
  at::set_num_threads(2);
  Workers workers(2);
  EXPECT_EQ(at::get_num_threads(), 2);
  for (int round = 0; round < 2; round++) {
    std::vector<int> threads(4), shares(4);
    workers.Run(4, [&](int64_t i) {
      std::atomic<int> pieces = 0;
      at::parallel_for(0, 1000, 1, [&](int64_t, int64_t) { pieces++; });
      torch::mm(torch::ones({200, 200}), torch::ones({200, 200})).add_(1).sum();
      shares[static_cast<size_t>(i)] = pieces;
      threads[static_cast<size_t>(i)] = at::get_num_threads();
    });
    EXPECT_EQ(threads, std::vector<int>(4, 1));
    EXPECT_EQ(shares, std::vector<int>(4, 1));
  }
  EXPECT_EQ(at::get_num_threads(), 2);
  at::set_num_threads(before);
}

}  // namespace
}  // namespace attend::models
