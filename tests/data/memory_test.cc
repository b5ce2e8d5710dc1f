#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "attend/base/process_memory.h"
#include "attend/data/prefetched_stream.h"
#include "tests/base/sanitized.h"
#include "tests/data/encoders.h"
#include "tests/data/files.h"

namespace attend::data {
namespace {

// Opening, holding out and streaming a corpus takes anonymous memory that does not grow with its lines.
// ATTEND_LINES=5000000 is the long form.
TEST(Memory, DoesNotGrowWithTheCorpus) {
  const char* asked = std::getenv("ATTEND_LINES");
  const int64_t lines = asked ? std::atoll(asked) : 300'000;
  const Folder f;
  for (const char* name : {"s", "t"}) {
    std::ofstream out(f / name);
    for (int64_t i = 0; i < lines; i++) out << "line number " << i * 7919 % lines << " of a text that is this long\n";
  }
  DataOptions options = f.Options();
  options.train.source = f / "s";
  options.train.target = f / "t";

  const int64_t before = ProcessMemory();
  const auto start = std::chrono::steady_clock::now();
  Split split = OpenSplit(options, 1, false);
  const std::chrono::duration<double> opening = std::chrono::steady_clock::now() - start;
  const int64_t opened = ProcessMemory();
  EXPECT_EQ(split.train.size() + split.valid->size(), lines);
  int64_t streamed = 0;
  {
    PrefetchedStream stream(std::make_unique<BatchStream>(split.train, TwoSides(), StreamOptions{}));
    for (int64_t rows = 0; rows < std::min<int64_t>(lines, 100'000);) rows += stream.Next().ids.at("target").rows;
    streamed = ProcessMemory();
  }
  std::printf("%lld lines: opened in %.2f s; anonymous memory %+.1f MB to open, %+.1f MB while streaming\n", static_cast<long long>(lines),
              opening.count(), static_cast<double>(opened - before) / 1e6, static_cast<double>(streamed - before) / 1e6);
  if (kSanitized) return;  // shadow memory is not the corpus's
  EXPECT_LT(opened - before, int64_t{4} << 20);
  EXPECT_LT(streamed - before, int64_t{80} << 20);
}

}  // namespace
}  // namespace attend::data
