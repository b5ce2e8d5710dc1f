#include "attend/nn/sentence_memory.h"

#include <ATen/ops/tensor.h>

#include <algorithm>
#include <numeric>

namespace attend::nn {

using at::Tensor;

SentenceMemory::SentenceMemory(std::vector<AttentionMemory> layers, int64_t sentences) : layers_(std::move(layers)), sentences_(sentences) {
  sentence_.resize(static_cast<size_t>(sentences));
  std::iota(sentence_.begin(), sentence_.end(), 0);
}

bool SentenceMemory::Select(std::span<const int32_t> parents) {
  bool same = parents.size() == sentence_.size();
  for (size_t i = 0; same && i < parents.size(); i++) same = parents[i] == static_cast<int32_t>(i);
  if (same) return false;
  std::vector<int64_t> sentence;
  for (const int32_t parent : parents) sentence.push_back(sentence_[static_cast<size_t>(parent)]);
  sentence_ = std::move(sentence);
  return true;
}

const std::vector<AttentionMemory>& SentenceMemory::Gather() {
  if (layers_.empty() || gathered_for_ == sentence_) return gathered_;
  gathered_for_ = sentence_;
  std::vector<int64_t> left = sentence_;
  std::sort(left.begin(), left.end());
  left.erase(std::unique(left.begin(), left.end()), left.end());
  const auto index_of = [&](const std::vector<int64_t>& values) { return at::tensor(values, at::kLong).to(layers_[0].value.device()); };
  if (static_cast<int64_t>(left.size()) == sentences_) {
    gathered_ = layers_;
  } else if (left != left_) {
    const Tensor index = index_of(left);
    const int64_t keys = std::max<int64_t>(1, layers_[0].lengths.index_select(0, index).max().item<int64_t>());
    gathered_.clear();
    for (const AttentionMemory& layer : layers_) gathered_.push_back(layer.Select(index, keys));
  }
  left_ = left;
  Tensor rows;
  if (sentence_ != left) {
    std::vector<int64_t> places;
    for (const int64_t sentence : sentence_) places.push_back(std::lower_bound(left.begin(), left.end(), sentence) - left.begin());
    rows = index_of(places);
  }
  for (AttentionMemory& memory : gathered_) memory.rows = rows;
  return gathered_;
}

}  // namespace attend::nn
