#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <stdexcept>
#include <vector>

#include "attend/kernels/random.h"
#include "attend/search/choose.h"
#include "attend/search/decoder.h"
#include "attend/search/hypothesis.h"

namespace attend::search {

constexpr int32_t kStart = 0, kEnd = 1;
inline Symbols TestSymbols() { return {kStart, kEnd, {kStart}}; }

// A language model made of hashes: the distribution after a prefix depends on the sentence and on all of the prefix, so any mistake
// in the bookkeeping of parents shows. `sharpness` spreads the logits, `end_bonus` makes outputs short.
struct FakeModel {
  int vocabulary = 6;
  double sharpness = 2, end_bonus = 0;
  int64_t keys = 4, heads = 2;
  bool ties = false;  // logits on a coarse grid

  uint64_t State(int64_t sentence, const std::vector<int32_t>& prefix) const {
    uint64_t h = random::RowKey(7, 11, 0, static_cast<uint64_t>(sentence));
    for (int32_t id : prefix) h = random::RowKey(h, 13, 0, static_cast<uint64_t>(id));
    return h;
  }
  std::vector<float> Logits(int64_t sentence, const std::vector<int32_t>& prefix) const {
    random::Stream draws(State(sentence, prefix));
    std::vector<float> out(static_cast<size_t>(vocabulary));
    for (float& x : out) {
      x = static_cast<float>(sharpness) * (2 * draws.Uniform() - 1);
      if (ties) x = std::round(x);
    }
    out[kEnd] += static_cast<float>(end_bonus);
    return out;
  }
  std::vector<double> LogProbs(int64_t sentence, const std::vector<int32_t>& prefix) const {
    const std::vector<float> logits = Logits(sentence, prefix);
    double sum = 0;
    for (float x : logits) sum += std::exp(static_cast<double>(x));
    std::vector<double> out;
    for (float x : logits) out.push_back(x - std::log(sum));
    return out;
  }
  // (heads, keys), each head's row sums to 1.
  std::vector<float> Attention(int64_t sentence, const std::vector<int32_t>& prefix, int64_t head_count) const {
    random::Stream draws(State(sentence, prefix), 5);
    std::vector<float> out;
    for (int64_t h = 0; h < head_count; h++) {
      std::vector<float> row;
      float sum = 0;
      for (int64_t j = 0; j < keys; j++) sum += row.emplace_back(0.01f + draws.Uniform());
      for (float w : row) out.push_back(w / sum);
    }
    return out;
  }
};

class FakeDecoder : public Decoder {
 public:
  FakeDecoder(const FakeModel& model, const std::vector<Sentence>& sentences) : model_(model) {
    for (const Sentence& s : sentences) rows_.push_back({s.example, {}});
  }

  StepResult Step(std::span<const int32_t> parents, std::span<const int32_t> tokens, const StepRequest& request) override {
    if (parents.size() != tokens.size() || parents.empty()) throw std::logic_error("parents and tokens differ");
    std::vector<Row> next;
    for (size_t i = 0; i < parents.size(); i++) {
      Row row = rows_.at(static_cast<size_t>(parents[i]));
      if ((steps_ == 0) != (tokens[i] == kStart)) throw std::logic_error("the start symbol comes first and only first");
      if (tokens[i] == kEnd) throw std::logic_error("a complete hypothesis goes on");
      if (steps_ > 0) row.prefix.push_back(tokens[i]);
      next.push_back(row);
    }
    rows_ = next;
    steps_++;
    row_steps_ += static_cast<int64_t>(rows_.size());
    std::vector<float> logits;
    for (const Row& row : rows_) {
      const std::vector<float> x = model_.Logits(row.sentence, row.prefix);
      logits.insert(logits.end(), x.begin(), x.end());
    }
    if (poison_at_ == steps_) logits[0] = std::numeric_limits<float>::quiet_NaN();
    StepResult result = Choose(logits, static_cast<int64_t>(rows_.size()), model_.vocabulary, request);
    if (request.maps != Maps::none && model_.heads > 0) AddMap(request.maps, result);
    return result;
  }

  void PoisonAt(int64_t step) { poison_at_ = step; }
  int64_t steps() const { return steps_; }
  int64_t row_steps() const { return row_steps_; }

 private:
  struct Row {
    int64_t sentence;
    std::vector<int32_t> prefix;
  };
  void AddMap(Maps maps, StepResult& result) {
    const int64_t heads = maps == Maps::all ? model_.heads : 1;
    StepMap map{"decoder.attention", heads, model_.keys + 2, {}, MapOver::source};  // two keys of padding
    for (const Row& row : rows_) {
      const std::vector<float> w = model_.Attention(row.sentence, row.prefix, heads);
      for (int64_t h = 0; h < heads; h++)
        for (int64_t j = 0; j < map.keys; j++) map.weights.push_back(j < model_.keys ? w[static_cast<size_t>(h * model_.keys + j)] : 0);
    }
    result.maps.push_back(map);
  }

  FakeModel model_;
  std::vector<Row> rows_;
  int64_t steps_ = 0, row_steps_ = 0, poison_at_ = -1;
};

inline std::vector<Sentence> TestSentences(int64_t n, int64_t source_length = 4) {
  std::vector<Sentence> out;
  for (int64_t i = 0; i < n; i++) out.push_back({source_length, 100 + i, {}});
  return out;
}

}  // namespace attend::search
