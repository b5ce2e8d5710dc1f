#include "attend/data/token_stream.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <set>

#include "attend/base/error.h"
#include "attend/data/plain_text.h"

namespace attend::data {
namespace {

// Tokens 1 ... n, so that each tells its place.
std::shared_ptr<const TokenText> Counting(int32_t n) {
  auto text = std::make_shared<TokenText>();
  text->ids.resize(static_cast<size_t>(n));
  std::iota(text->ids.begin(), text->ids.end(), 1);
  return text;
}

TokenStreamOptions Options(int64_t rows, int64_t length, bool carry) {
  TokenStreamOptions o;
  o.rows = rows;
  o.length = length;
  o.carry = carry;
  o.before = -7;
  o.seed = 3;
  return o;
}

int32_t At(const IdField& field, int64_t row, int64_t column) { return field.values[static_cast<size_t>(row * field.columns + column)]; }

// What every batch must be: rows of consecutive tokens, and before each the token before.
void ExpectRows(const Batch& batch) {
  const IdField &target = batch.ids.at("target"), &before = batch.ids.at("before");
  ASSERT_EQ(before.columns, 1);
  ASSERT_EQ(before.rows, target.rows);
  ASSERT_EQ(static_cast<int64_t>(batch.examples.size()), target.rows);
  for (int64_t r = 0; r < target.rows; r++) {
    const int32_t length = target.lengths[static_cast<size_t>(r)];
    if (length == 0) continue;
    const int32_t first = At(target, r, 0);
    EXPECT_EQ(At(before, r, 0), first == 1 ? -7 : first - 1);
    for (int32_t t = 0; t < length; t++) EXPECT_EQ(At(target, r, t), first + t);
  }
}

TEST(TokenStream, PiecesTakeEveryTokenOnceAnEpoch) {
  for (const auto& [tokens, rows, length] : {std::tuple<int32_t, int64_t, int64_t>{103, 4, 5}, {20, 8, 10}, {64, 1, 1}, {101, 100, 7}}) {
    TokenStream stream(Counting(tokens), Options(rows, length, false));
    std::set<std::vector<int32_t>> orders;
    std::set<int32_t> phases;
    for (int64_t epoch = 0; epoch < 3; epoch++) {
      std::map<int32_t, int> seen;
      std::vector<int32_t> order;
      while (stream.position().epoch == epoch) {
        const Batch batch = stream.Next();
        ExpectRows(batch);
        EXPECT_TRUE(batch.begins);
        EXPECT_EQ(batch.epoch, epoch);
        EXPECT_LE(batch.ids.at("target").rows, rows);
        EXPECT_EQ(batch.target_tokens, static_cast<int64_t>(batch.ids.at("target").values.size()));
        for (const int32_t id : batch.ids.at("target").values) seen[id]++;
        order.push_back(At(batch.ids.at("target"), 0, 0));
      }
      for (const auto& [id, n] : seen) EXPECT_EQ(n, 1) << id;
      EXPECT_GT(static_cast<int64_t>(seen.size()), tokens - 2 * length);  // but for what is cut off at both ends
      orders.insert(order);
      phases.insert(seen.begin()->first);
    }
    if (tokens / length > 2) EXPECT_GT(orders.size(), 1u);
  }
}

TEST(TokenStream, RowsThatCarryGoOnWhereTheyEnded) {
  for (const auto& [tokens, rows, length] : {std::tuple<int32_t, int64_t, int64_t>{103, 4, 5}, {20, 10, 10}, {97, 1, 7}}) {
    TokenStream stream(Counting(tokens), Options(rows, length, true));
    std::vector<std::vector<int32_t>> read(static_cast<size_t>(rows));
    int64_t batches = 0;
    while (stream.position().epoch == 0) {
      const Batch batch = stream.Next();
      ExpectRows(batch);
      EXPECT_EQ(batch.begins, batches++ == 0);
      const IdField& target = batch.ids.at("target");
      for (int64_t r = 0; r < rows; r++) {
        EXPECT_EQ(batch.examples[static_cast<size_t>(r)], r);
        for (int64_t t = 0; t < target.columns; t++) read[static_cast<size_t>(r)].push_back(At(target, r, t));
      }
    }
    for (int64_t r = 0; r < rows; r++) {
      std::vector<int32_t> expected(static_cast<size_t>(tokens / rows));
      std::iota(expected.begin(), expected.end(), static_cast<int32_t>(r * (tokens / rows)) + 1);
      EXPECT_EQ(read[static_cast<size_t>(r)], expected);
    }
    EXPECT_TRUE(stream.Next().begins);  // the next epoch
  }
}

TEST(TokenStream, GoesOnFromAPositionAndIsCutAmongProcesses) {
  for (bool carry : {false, true}) {
    const auto text = Counting(211);
    TokenStream whole(text, Options(6, 7, carry));
    for (int n = 0; n < 20; n++) {
      const Position position = whole.position();
      const Batch batch = whole.Next();
      TokenStream late(text, Options(6, 7, carry), position);
      const Batch again = late.Next();
      EXPECT_EQ(again.ids.at("target").values, batch.ids.at("target").values);
      EXPECT_EQ(again.examples, batch.examples);
      EXPECT_EQ(late.position(), whole.position());
      EXPECT_EQ(again.begins, batch.begins);
      TokenStreamOptions second = Options(6, 7, carry);
      second.rank = 1;
      second.world = 2;
      TokenStream part(text, second, position);
      const Batch half = part.Next();
      EXPECT_EQ(half.target_tokens, batch.target_tokens);
      for (size_t r = 0; r < half.examples.size(); r++) EXPECT_EQ(half.examples[r], batch.examples[2 * r + 1]);
    }
  }
}

TEST(TokenStream, InOrderReadsAllOfATextOnce) {
  for (bool carry : {false, true})
    for (int32_t tokens : {1, 5, 36, 103}) {
      std::map<int32_t, int> seen;
      std::map<int64_t, int32_t> last;
      for (const Batch& batch : TokenStream::InOrder(*Counting(tokens), Options(4, 5, carry))) {
        ExpectRows(batch);
        const IdField& target = batch.ids.at("target");
        for (int64_t r = 0; r < target.rows; r++)
          for (int32_t t = 0; t < target.lengths[static_cast<size_t>(r)]; t++) {
            const int32_t id = At(target, r, t);
            seen[id]++;
            if (!carry) continue;
            if (last.count(r)) EXPECT_EQ(id, last[r] + 1);
            last[r] = id;
          }
      }
      EXPECT_EQ(static_cast<int32_t>(seen.size()), tokens);
      for (const auto& [id, n] : seen) EXPECT_EQ(n, 1) << id;
    }
}

TEST(TokenStream, WindowsCountEveryTokenOnceWithEnoughBeforeIt) {
  for (int64_t stride : {1, 3, 8})
    for (int32_t tokens : {1, 7, 8, 9, 103}) {
      std::map<int32_t, int> counted;
      for (const Batch& batch : TokenStream::Sliding(*Counting(tokens), Options(4, 8, false), stride)) {
        ExpectRows(batch);
        const IdField &target = batch.ids.at("target"), &skip = batch.ids.at("skip");
        for (int64_t r = 0; r < target.rows; r++)
          for (int32_t t = At(skip, r, 0); t < target.lengths[static_cast<size_t>(r)]; t++) {
            const int32_t id = At(target, r, t);
            counted[id]++;
            EXPECT_TRUE(id <= 8 || t >= 8 - stride) << id << " at " << t;
          }
      }
      EXPECT_EQ(static_cast<int32_t>(counted.size()), tokens);
      for (const auto& [id, n] : counted) EXPECT_EQ(n, 1) << id;
    }
}

TEST(TokenStream, TextsThatAreTooShortAndForeignPositionsAreErrors) {
  EXPECT_THROW(TokenStream(Counting(9), Options(2, 5, false)), UserError);
  EXPECT_THROW(TokenStream(Counting(3), Options(2, 5, true)), UserError);
  Position beyond;
  beyond.batch = 1000;
  EXPECT_THROW(TokenStream(Counting(100), Options(2, 5, false), beyond), UserError);
}

TEST(PlainText, KnowsWhichLinesEnd) {
  const PlainText text = PlainText::Of("one\n\ntwo\r\nth\xC3\xB6r");
  ASSERT_EQ(text.lines(), 4);
  EXPECT_EQ(text[0].text, "one");
  EXPECT_EQ(text[1].text, "");
  EXPECT_EQ(text[2].text, "two");
  EXPECT_EQ(text[3].text, "th\xC3\xB6r");
  EXPECT_TRUE(text[0].ended && text[1].ended && text[2].ended);
  EXPECT_FALSE(text[3].ended);
  EXPECT_EQ(text.characters(), 3 + 1 + 1 + 3 + 1 + 4);
  const auto [kept, held] = text.CutOff(1);
  EXPECT_EQ(kept.lines(), 3);
  ASSERT_EQ(held.lines(), 1);
  EXPECT_EQ(held[0].text, "th\xC3\xB6r");
  EXPECT_EQ(PlainText::Of("").lines(), 0);
}

}  // namespace
}  // namespace attend::data
