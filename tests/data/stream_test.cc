#include "attend/data/stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

#include "attend/base/error.h"
#include "attend/data/prefetched_stream.h"
#include "tests/data/encoders.h"
#include "tests/data/files.h"

namespace attend::data {
namespace {

using testing::HasSubstr;

constexpr int64_t kLines = 1000;

class Stream : public testing::Test {
 protected:
  void SetUp() override {
    std::string text;
    for (int64_t i = 0; i < kLines; i++) {
      const auto length = static_cast<size_t>(i * 7919 % 29 + 1);
      const std::string letters(length, static_cast<char>('a' + i % 26));
      text += letters + "\t" + letters.substr(0, length / 2) + "z" + "\t0-0\n";
    }
    FilesOptions files;
    files.tsv = folder_.Write("x.tsv", text);
    corpus_.emplace(Corpus::Open(files, folder_.Options(), true, "data.train"));
  }
  StreamOptions Options() const {
    StreamOptions options;
    options.size.tokens = 300;
    options.window = 170;
    options.seed = 5;
    return options;
  }
  BatchStream Open(const StreamOptions& options, Position start = {}) const {
    return BatchStream(*corpus_, TwoSides(true), options, start);
  }

  Folder folder_;
  std::optional<Corpus> corpus_;
};

bool Same(const Batch& a, const Batch& b) {
  for (const char* side : {"source", "target"}) {
    const IdField &x = a.ids.at(side), &y = b.ids.at(side);
    if (x.values != y.values || x.lengths != y.lengths || x.rows != y.rows || x.columns != y.columns) return false;
  }
  return a.examples == b.examples && a.position == b.position && a.epoch == b.epoch && a.target_tokens == b.target_tokens &&
         a.floats.contains("alignment") == b.floats.contains("alignment") &&
         (!a.floats.contains("alignment") || a.floats.at("alignment").values == b.floats.at("alignment").values);
}

TEST_F(Stream, EveryEpochHoldsEveryExampleOnceInAnotherOrder) {
  BatchStream stream = Open(Options());
  std::vector<std::vector<int64_t>> orders;
  for (int64_t epoch = 0, position = 0; epoch < 3; epoch++) {
    std::vector<int64_t> order;
    while (stream.position().epoch == epoch) {
      const Batch batch = stream.Next();
      EXPECT_EQ(batch.epoch, epoch);
      EXPECT_EQ(batch.position, position++);
      EXPECT_LE(batch.ids.at("source").rows * std::max(batch.ids.at("source").columns, batch.ids.at("target").columns), 300);
      order.insert(order.end(), batch.examples.begin(), batch.examples.end());
    }
    EXPECT_EQ(stream.position().examples, 0);
    EXPECT_EQ(std::set<int64_t>(order.begin(), order.end()).size(), static_cast<size_t>(kLines));
    EXPECT_EQ(order.size(), static_cast<size_t>(kLines));
    orders.push_back(order);
  }
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_NE(orders[1], orders[2]);
}

TEST_F(Stream, BatchesAreBucketedAndShuffled) {
  BatchStream stream = Open(Options());
  int64_t padded = 0, tokens = 0, descending = 0, batches = 0, last = 0;
  while (stream.position().epoch == 0) {
    const Batch batch = stream.Next();
    const IdField& target = batch.ids.at("target");
    padded += target.rows * target.columns;
    tokens += batch.target_tokens;
    descending += target.columns < last;
    last = target.columns;
    batches++;
  }
  EXPECT_LT(static_cast<double>(padded), 1.15 * static_cast<double>(tokens));
  EXPECT_GT(descending, batches / 4);  // neither sorted up nor down
  EXPECT_LT(descending, 3 * batches / 4);
}

TEST_F(Stream, ReopenedAnywhereGivesTheRestBitForBit) {
  StreamOptions options = Options();
  options.links = true;
  options.max_length = 24;
  BatchStream whole = Open(options);
  std::vector<Batch> batches;
  std::vector<Position> positions = {whole.position()};
  while (whole.position().epoch < 2) {
    batches.push_back(whole.Next());
    positions.push_back(whole.position());
  }
  EXPECT_GT(whole.position().skipped, 0);
  random::Stream draws(3);
  for (int trial = 0; trial < 20; trial++) {
    const uint32_t at = draws.Below(static_cast<uint32_t>(batches.size()));
    BatchStream rest = Open(options, positions[at]);
    for (size_t i = at; i < std::min<size_t>(at + 30, batches.size()); i++) {
      ASSERT_TRUE(Same(rest.Next(), batches[i])) << "opened at " << at << ", batch " << i;
      ASSERT_EQ(rest.position(), positions[i + 1]);
    }
  }
}

TEST_F(Stream, RanksCoverTheGlobalBatch) {
  BatchStream whole = Open(Options());
  std::vector<BatchStream> ranks;
  for (int rank = 0; rank < 3; rank++) {
    StreamOptions options = Options();
    options.rank = rank;
    options.world = 3;
    ranks.push_back(Open(options));
  }
  while (whole.position().epoch == 0) {
    const Batch all = whole.Next();
    std::multiset<int64_t> expected(all.examples.begin(), all.examples.end()), found;
    for (BatchStream& rank : ranks) {
      const Batch part = rank.Next();
      found.insert(part.examples.begin(), part.examples.end());
      EXPECT_EQ(part.position, all.position);
      EXPECT_EQ(part.target_tokens, all.target_tokens);
      EXPECT_EQ(rank.position(), whole.position());
    }
    EXPECT_EQ(found, expected);
  }
}

TEST_F(Stream, WithoutShufflingWindowsKeepTheFilesOrder) {
  StreamOptions options = Options();
  options.shuffle = false;
  options.window = 10;
  BatchStream stream = Open(options);
  int64_t examples = 0;
  while (stream.position().epoch == 0) {
    for (int64_t line : stream.Next().examples) EXPECT_EQ(line / 10, examples++ / 10);
  }
  EXPECT_EQ(examples, kLines);
}

TEST_F(Stream, OverLongExamplesAreCounted) {
  StreamOptions options = Options();
  options.max_length = 10;
  BatchStream stream = Open(options);
  int64_t given = 0;
  while (stream.position().epoch == 0) given += stream.Next().ids.at("source").rows;
  EXPECT_EQ(given + stream.position().skipped, kLines);
  EXPECT_GT(stream.position().skipped, 500);
  options.max_length = 0;
  BatchStream none = Open(options);
  EXPECT_THAT(Message<UserError>([&] { none.Next(); }), HasSubstr("[data.max_length]"));
}

TEST_F(Stream, PositionOfAnotherCorpus) {
  EXPECT_THAT(Message<UserError>([&] { Open(Options(), Position{.window = 6}); }),
              HasSubstr("the corpus that the training state was made with"));
  EXPECT_NO_THROW(Open(Options(), Position{.window = 5}));
}

TEST_F(Stream, PrefetchingChangesNothing) {
  BatchStream plain = Open(Options());
  PrefetchedStream prefetched(std::make_unique<BatchStream>(Open(Options())), 3);
  EXPECT_EQ(prefetched.position(), plain.position());
  for (int i = 0; i < 200; i++) {
    ASSERT_TRUE(Same(prefetched.Next(), plain.Next()));
    ASSERT_EQ(prefetched.position(), plain.position());
  }
}

TEST_F(Stream, PrefetchingStopsAtOnce) {
  for (int taken = 0; taken < 20; taken++) {
    PrefetchedStream stream(std::make_unique<BatchStream>(Open(Options())), 2);
    for (int i = 0; i < taken; i++) stream.Next();
  }
}

TEST_F(Stream, PrefetchingCarriesFailures) {
  std::vector<Side> sides = TwoSides();
  sides[1].encode = [encode = sides[1].encode, calls = std::make_shared<int>(0)](std::string_view text, uint64_t key,
                                                                                 std::vector<int32_t>& ids, std::vector<int32_t>* words) {
    if (++*calls > 500) throw std::runtime_error("no more");
    encode(text, key, ids, words);
  };
  PrefetchedStream stream(std::make_unique<BatchStream>(*corpus_, sides, Options()));
  int64_t examples = 0;
  EXPECT_EQ(Message<std::runtime_error>([&] {
              while (true) examples += stream.Next().ids.at("source").rows;
            }),
            "no more");
  EXPECT_EQ(examples, kLines * 2 / 6);  // the fourth of six windows fails while the third is taken
  EXPECT_THROW(stream.Next(), std::runtime_error);
}

}  // namespace
}  // namespace attend::data
