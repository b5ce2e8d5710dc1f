#include "attend/data/example.h"

#include <algorithm>
#include <numeric>

#include "attend/kernels/random.h"

namespace attend::data {
namespace {

int64_t Length(const Example& example, size_t side) { return static_cast<int64_t>(example.ids[side].size()); }

int64_t Longest(const Example& example) {
  size_t longest = 0;
  for (const auto& ids : example.ids) longest = std::max(longest, ids.size());
  return static_cast<int64_t>(longest);
}

IdField Pad(const std::vector<Example>& examples, const std::vector<int32_t>& rows, size_t side, int32_t padding) {
  IdField out;
  out.rows = static_cast<int64_t>(rows.size());
  for (int32_t row : rows) {
    out.lengths.push_back(static_cast<int32_t>(Length(examples[static_cast<size_t>(row)], side)));
    out.columns = std::max<int64_t>(out.columns, out.lengths.back());
  }
  out.values.assign(static_cast<size_t>(out.rows * out.columns), padding);
  auto at = out.values.begin();
  for (int32_t row : rows) {
    const auto& ids = examples[static_cast<size_t>(row)].ids[side];
    std::copy(ids.begin(), ids.end(), at);
    at += out.columns;
  }
  return out;
}

// One example's rows (target length, source length) of the field "alignment", `columns` apart.
void FillAlignment(const Example& example, int64_t columns, float* out) {
  std::vector<std::vector<int32_t>> pieces;  // (source words) their source pieces
  for (size_t s = 0; s < example.words[0].size(); s++) {
    const int32_t word = example.words[0][s];
    if (word < 0) continue;
    if (static_cast<size_t>(word) >= pieces.size()) pieces.resize(static_cast<size_t>(word) + 1);
    pieces[static_cast<size_t>(word)].push_back(static_cast<int32_t>(s));
  }
  for (size_t t = 0; t < example.words[1].size(); t++) {
    float* row = out + static_cast<int64_t>(t) * columns;
    for (const Link& link : example.links) {
      if (link.target != example.words[1][t] || static_cast<size_t>(link.source) >= pieces.size()) continue;
      for (int32_t s : pieces[static_cast<size_t>(link.source)]) row[s] = 1;
    }
    const float sum = std::accumulate(row, row + columns, 0.0f);
    if (sum > 0)
      for (int64_t s = 0; s < columns; s++) row[s] /= sum;
  }
}

}  // namespace

Example EncodeExample(const std::vector<std::string_view>& texts, const std::vector<Side>& sides, int64_t line, uint64_t seed,
                      int64_t epoch, bool words) {
  Example example;
  example.line = line;
  example.ids.resize(texts.size());
  if (words) example.words.resize(texts.size());
  for (size_t i = 0; i < texts.size(); i++) {
    const uint64_t key =
        random::RowKey(seed, random::Purpose("data:" + sides[i].name), static_cast<uint64_t>(epoch), static_cast<uint64_t>(line));
    sides[i].encode(texts[i], key, example.ids[i], words ? &example.words[i] : nullptr);
    example.ids[i].push_back(sides[i].end);
  }
  return example;
}

std::vector<std::vector<int32_t>> CutBatches(const std::vector<Example>& examples, const BatchSize& size) {
  std::vector<int32_t> order(examples.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    const Example &x = examples[static_cast<size_t>(a)], &y = examples[static_cast<size_t>(b)];
    const size_t last = x.ids.size() - 1;
    if (Length(x, last) != Length(y, last)) return Length(x, last) > Length(y, last);
    // Up and down in turn: a batch that reaches over two target lengths has source rows of one length.
    return Length(x, last) % 2 ? Length(x, 0) > Length(y, 0) : Length(x, 0) < Length(y, 0);
  });
  std::vector<std::vector<int32_t>> batches;
  int64_t longest = 0;
  for (int32_t row : order) {
    const int64_t length = Longest(examples[static_cast<size_t>(row)]);
    if (!batches.empty()) {
      const auto rows = static_cast<int64_t>(batches.back().size());
      if (size.sentences > 0 ? rows < size.sentences : (rows + 1) * std::max(longest, length) <= size.tokens) {
        batches.back().push_back(row);
        longest = std::max(longest, length);
        continue;
      }
    }
    batches.push_back({row});
    longest = length;
  }
  return batches;
}

Batch MakeBatch(const std::vector<Example>& examples, const std::vector<int32_t>& rows, const std::vector<Side>& sides, bool links) {
  Batch batch;
  const size_t count = examples.empty() ? 0 : examples[0].ids.size();
  for (size_t side = 0; side < count; side++) batch.ids[sides[side].name] = Pad(examples, rows, side, sides[side].padding);
  for (int32_t row : rows) {
    batch.examples.push_back(examples[static_cast<size_t>(row)].line);
    batch.target_tokens += Length(examples[static_cast<size_t>(row)], count - 1);
  }
  if (!links) return batch;

  const int64_t targets = batch.ids[sides[1].name].columns, sources = batch.ids[sides[0].name].columns;
  FloatField& alignment = batch.floats["alignment"];
  alignment.shape = {static_cast<int64_t>(rows.size()), targets, sources};
  alignment.values.assign(rows.size() * static_cast<size_t>(targets * sources), 0.0f);
  for (size_t i = 0; i < rows.size(); i++) {
    FillAlignment(examples[static_cast<size_t>(rows[i])], sources, alignment.values.data() + static_cast<int64_t>(i) * targets * sources);
  }
  return batch;
}

std::vector<Batch> SortedBatches(const std::vector<Example>& examples, const std::vector<Side>& sides, const BatchSize& size) {
  std::vector<Batch> batches;
  for (const auto& rows : CutBatches(examples, size)) {
    batches.push_back(MakeBatch(examples, rows, sides, false));
    batches.back().position = static_cast<int64_t>(batches.size()) - 1;
  }
  return batches;
}

}  // namespace attend::data
