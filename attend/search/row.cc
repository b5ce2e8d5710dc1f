#include "attend/search/row.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "attend/kernels/logsumexp.h"

namespace attend::search {

using kernels::kRowBlock;
constexpr float kNever = -std::numeric_limits<float>::infinity();

void Row::Set(std::span<const float> logits) {
  logits_ = logits;
  const auto n = static_cast<int64_t>(logits.size());
  const auto blocks = static_cast<size_t>(kernels::RowBlocks(n));
  top_.resize(blocks);
  sum_.resize(blocks);
  kernels::BlockMax(logits.data(), n, top_.data());
}

float Row::Max() const { return *std::max_element(top_.begin(), top_.end()); }

double Row::SumAt(double temperature) {
  kernels::BlockSumExp(logits_.data(), static_cast<int64_t>(logits_.size()), Max(), static_cast<float>(std::min(1 / temperature, 1e30)), sum_.data());
  double sum = 0;
  for (float s : sum_) sum += s;
  return sum;
}

double Row::LogSumExp() {
  const double sum = SumAt(1);
  return Max() + std::log(sum);
}

std::span<const int32_t> Row::Top(int64_t k) {
  ids_.clear();
  if (k <= 0) return {};
  // The k-th greatest block maximum is a floor of the k greatest elements: only blocks that reach it need a look.
  float floor = kNever;
  if (k <= static_cast<int64_t>(top_.size())) {
    order_ = top_;
    std::nth_element(order_.begin(), order_.begin() + (k - 1), order_.end(), std::greater<>());
    floor = order_[static_cast<size_t>(k - 1)];
  }
  const auto n = static_cast<int64_t>(logits_.size());
  for (size_t b = 0; b < top_.size(); b++) {
    if (!(top_[b] >= floor)) continue;
    const int64_t begin = static_cast<int64_t>(b) * kRowBlock, end = std::min(n, begin + kRowBlock);
    for (int64_t j = begin; j < end; j++) {
      const float x = logits_[static_cast<size_t>(j)];
      if (x >= floor && x > kNever) ids_.push_back(static_cast<int32_t>(j));
    }
  }
  const auto better = [this](int32_t a, int32_t b) {
    const float x = logits_[static_cast<size_t>(a)], y = logits_[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  };
  const auto count = std::min(ids_.size(), static_cast<size_t>(k));
  std::partial_sort(ids_.begin(), ids_.begin() + static_cast<std::ptrdiff_t>(count), ids_.end(), better);
  return {ids_.data(), count};
}

int32_t Row::Draw(const Sampling& sampling, double uniform) {
  if (!(Max() > kNever)) return -1;
  if (sampling.temperature <= 0) return Top(1)[0];
  if (sampling.top_k > 0 || sampling.top_p < 1) return DrawCut(sampling, uniform);
  return DrawAny(sampling.temperature, uniform);
}

// The block in which the distribution function passes `uniform`, then the id in it. Rounding may leave the goal just beyond the last
// id of positive weight: that one is taken.
int32_t Row::DrawAny(double temperature, double uniform) {
  double goal = uniform * SumAt(temperature);
  size_t block = 0, positive = 0;
  for (; block < sum_.size(); block++) {
    if (sum_[block] > 0) positive = block;
    if (sum_[block] > 0 && goal < sum_[block]) break;
    goal -= sum_[block];
  }
  if (block == sum_.size()) block = positive;
  const size_t begin = block * kRowBlock, end = std::min(logits_.size(), begin + kRowBlock);
  const double shift = Max();
  int32_t id = -1;
  for (size_t j = begin; j < end; j++) {
    const double weight = std::exp((logits_[j] - shift) / temperature);
    if (!(weight > 0)) continue;
    id = static_cast<int32_t>(j);
    if (goal < weight) break;
    goal -= weight;
  }
  return id;
}

int32_t Row::DrawCut(const Sampling& sampling, double uniform) {
  const auto n = static_cast<int64_t>(logits_.size());
  const double shift = Max();
  const auto weight = [&](int32_t id) { return std::exp((logits_[static_cast<size_t>(id)] - shift) / sampling.temperature); };
  const int64_t most = sampling.top_k > 0 ? std::min<int64_t>(sampling.top_k, n) : n;
  // The nucleus is rarely large: look at ever more of the most likely ids until they hold it. Its mass is a share of what top_k left.
  double total = 0;
  if (sampling.top_k > 0) {
    for (int32_t id : Top(most)) total += weight(id);
  } else {
    total = SumAt(sampling.temperature);
  }
  double mass = 0;
  size_t kept = 0;
  std::span<const int32_t> best;
  for (int64_t count = std::min<int64_t>(most, 64);; count = std::min(most, count * 8)) {
    best = Top(count);
    mass = 0;
    kept = 0;
    while (kept < best.size() && (kept == 0 || mass < sampling.top_p * total)) mass += weight(best[kept++]);
    if (mass >= sampling.top_p * total || count == most || best.size() < static_cast<size_t>(count)) break;
  }
  double goal = uniform * mass;
  for (size_t i = 0; i + 1 < kept; i++) {
    goal -= weight(best[i]);
    if (goal < 0) return best[i];
  }
  return best[kept - 1];
}

}  // namespace attend::search
