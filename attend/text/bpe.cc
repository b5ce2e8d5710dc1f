#include "attend/text/bpe.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "attend/base/utf8.h"
#include "attend/kernels/random.h"

namespace attend::text {
namespace {

uint64_t Pair(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

BpeTokenizer::BpeTokenizer(Normaliser normaliser, Vocabulary v)
    : SubwordTokenizer(normaliser, std::move(v)), characters_(static_cast<size_t>(size()) / 16), merges_(static_cast<size_t>(size()) * 4) {
  std::unordered_map<std::string_view, int32_t> ids(static_cast<size_t>(size()));
  for (int32_t id = first_piece(); id < size(); id++) {
    const utf8::CodePoint c = utf8::Next(Text(id));
    if (c.length == Text(id).size()) characters_.Insert(c.value, id);
    ids.emplace(Text(id), id);
  }
  // Every way to make a piece of two pieces.
  for (int32_t id = first_piece(); id < size(); id++) {
    const std::string_view piece = Text(id);
    for (size_t i = utf8::Next(piece).length; i < piece.size(); i += utf8::Next(piece.substr(i)).length) {
      const auto left = ids.find(piece.substr(0, i));
      if (left == ids.end()) continue;
      const auto right = ids.find(piece.substr(i));
      if (right != ids.end()) merges_.Insert(Pair(left->second, right->second), id);
    }
  }
}

// Merges the symbols of one word after the other; keeps its arrays between words.
class BpeTokenizer::Merger {
 public:
  Merger(const BpeTokenizer& model, const Sampling* sampling) : model_(model) {
    if (!sampling) return;
    draws_.emplace(sampling->key);
    threshold_ = static_cast<uint32_t>(std::lround(std::min(sampling->rate, 1.0) * 0x1p24));
  }

  // Cuts bytes [begin, end) of `text`.
  void Word(std::string_view text, uint32_t begin, uint32_t end, std::vector<Segment>& out) {
    symbols_.clear();
    heap_.clear();
    for (uint32_t i = begin; i < end;) {
      const utf8::CodePoint c = utf8::Next(text.substr(i));
      const int32_t id = model_.characters_[c.value];
      const auto n = static_cast<int32_t>(symbols_.size());
      symbols_.push_back({id < 0 ? kUnknown : id, i, i + c.length, n - 1, n + 1});
      i += c.length;
    }
    symbols_.back().next = -1;
    for (int32_t i = 0; i + 1 < static_cast<int32_t>(symbols_.size()); i++) Propose(i);
    while (!heap_.empty()) Step();
    aside_.clear();
    for (int32_t i = 0; i >= 0; i = At(i).next) model_.Emit(text, {At(i).id, At(i).begin, At(i).end}, out);
  }

 private:
  struct Symbol {
    int32_t id;
    uint32_t begin, end;
    int32_t previous, next;  // -1: none; a merged-away symbol has begin == end
  };
  struct Candidate {
    float score;
    int32_t id, left;
    uint32_t end;  // of the right symbol: with the left one's begin it tells whether both still are what they were
    bool operator<(const Candidate& other) const { return score != other.score ? score < other.score : left > other.left; }
  };

  Symbol& At(int32_t i) { return symbols_[static_cast<size_t>(i)]; }

  void Propose(int32_t left) {
    if (left < 0 || At(left).next < 0) return;
    const Symbol& right = At(At(left).next);
    const int32_t id = model_.merges_[Pair(At(left).id, right.id)];
    if (id >= 0) Push({model_.vocabulary().scores[static_cast<size_t>(id)], id, left, right.end});
  }
  void Push(const Candidate& c) {
    heap_.push_back(c);
    std::push_heap(heap_.begin(), heap_.end());
  }

  void Step() {
    std::pop_heap(heap_.begin(), heap_.end());
    const Candidate c = heap_.back();
    heap_.pop_back();
    Symbol& left = At(c.left);
    if (left.begin == left.end || left.next < 0 || At(left.next).end != c.end || model_.merges_[Pair(left.id, At(left.next).id)] != c.id)
      return;
    if (draws_ && draws_->Next() >> 8 < threshold_) {
      aside_.push_back(c);  // dropped at this step; a candidate again at the next
      return;
    }
    Symbol& right = At(left.next);
    left.id = c.id;
    left.end = right.end;
    left.next = right.next;
    if (right.next >= 0) At(right.next).previous = c.left;
    right.begin = right.end;
    for (const Candidate& dropped : aside_) Push(dropped);
    aside_.clear();
    Propose(left.previous);
    Propose(c.left);
  }

  const BpeTokenizer& model_;
  std::optional<random::Stream> draws_;
  uint32_t threshold_ = 0;
  std::vector<Symbol> symbols_;
  std::vector<Candidate> heap_, aside_;
};

void BpeTokenizer::Cut(std::string_view text, const Sampling* sampling, std::vector<Segment>& out) const {
  Merger merger(*this, sampling);
  for (uint32_t begin = 0; begin < text.size();) {
    const auto end = static_cast<uint32_t>(std::min(text.find(' ', begin + 1), text.size()));
    merger.Word(text, begin, end, out);
    begin = end;
  }
}

}  // namespace attend::text
