#include "attend/search/row.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "attend/kernels/logsumexp.h"

namespace attend::search {

using kernels::kRowBlock;

void Row::Set(std::span<const float> logits) {
  logits_ = logits;
  const auto n = static_cast<int64_t>(logits.size());
  const auto blocks = static_cast<size_t>(kernels::RowBlocks(n));
  top_.resize(blocks);
  sum_.resize(blocks);
  kernels::BlockMax(logits.data(), n, top_.data());
  max_ = *std::max_element(top_.begin(), top_.end());
}

double Row::Weight(int32_t id, double temperature) const {
  return std::exp((logits_[static_cast<size_t>(id)] - double{max_}) / temperature);
}

double Row::SumAt(double temperature) {
  const auto scale = static_cast<float>(std::min(1 / temperature, 1e30));
  kernels::BlockSumExp(logits_.data(), static_cast<int64_t>(logits_.size()), max_, scale, sum_.data());
  double sum = 0;
  for (float s : sum_) sum += s;
  return sum;
}

double Row::LogSumExp() {
  const double sum = SumAt(1);
  return max_ + std::log(sum);
}

bool Row::Better(int32_t a, int32_t b) const {
  const float x = logits_[static_cast<size_t>(a)], y = logits_[static_cast<size_t>(b)];
  return x != y ? x > y : a < b;
}

void Row::Collect(float floor) {
  ids_.clear();
  const auto n = static_cast<int64_t>(logits_.size());
  for (size_t b = 0; b < top_.size(); b++) {
    if (!(top_[b] >= floor)) continue;
    const int64_t begin = static_cast<int64_t>(b) * kRowBlock, end = std::min(n, begin + kRowBlock);
    for (int64_t j = begin; j < end; j++) {
      const float x = logits_[static_cast<size_t>(j)];
      if (x >= floor && x > kNever) ids_.push_back(static_cast<int32_t>(j));
    }
  }
}

std::span<const int32_t> Row::Top(int64_t k) {
  if (k <= 0) return {};
  // The k-th greatest block maximum is a floor of the k greatest elements: only blocks that reach it need a look.
  float floor = kNever;
  if (k <= static_cast<int64_t>(top_.size())) {
    order_ = top_;
    std::nth_element(order_.begin(), order_.begin() + (k - 1), order_.end(), std::greater<>());
    floor = order_[static_cast<size_t>(k - 1)];
  }
  Collect(floor);
  const auto better = [this](int32_t a, int32_t b) { return Better(a, b); };
  const auto count = std::min(ids_.size(), static_cast<size_t>(k));
  const auto end = ids_.begin() + static_cast<std::ptrdiff_t>(count);
  if (count < ids_.size()) std::nth_element(ids_.begin(), end, ids_.end(), better);
  std::sort(ids_.begin(), end, better);
  ids_.resize(count);
  return ids_;
}

int32_t Row::Draw(const Sampling& sampling, double uniform) {
  if (!(max_ > kNever)) return -1;
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
  const double shift = max_;
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

// Leaves in ids_ the fewest of its ids, the most likely first, whose weight reaches `goal`. Halves what is undecided: linear time.
void Row::KeepNucleus(double temperature, double goal) {
  auto begin = ids_.begin(), end = ids_.end();
  while (end - begin > 1) {
    const auto middle = begin + (end - begin) / 2;
    std::nth_element(begin, middle, end, [this](int32_t a, int32_t b) { return Better(a, b); });
    double mass = 0;
    for (auto i = begin; i < middle; i++) mass += Weight(*i, temperature);
    if (mass >= goal) {
      end = middle;
    } else {
      begin = middle;
      goal -= mass;
    }
  }
  ids_.erase(end, ids_.end());
}

int32_t Row::DrawCut(const Sampling& sampling, double uniform) {
  const double t = sampling.temperature;
  double total = 0;
  if (sampling.top_k > 0) {
    for (int32_t id : Top(sampling.top_k)) total += Weight(id, t);
  } else {
    // All ids below an even share of what top_p leaves out are outside the nucleus together.
    total = SumAt(t);
    const double share = (1 - sampling.top_p) * total / static_cast<double>(logits_.size());
    Collect(std::min(max_, static_cast<float>(max_ + t * std::log(share))));
  }
  if (sampling.top_p < 1) KeepNucleus(t, sampling.top_p * total);
  std::sort(ids_.begin(), ids_.end());  // the order of selection is the library's own
  double mass = 0;
  for (int32_t id : ids_) mass += Weight(id, t);
  double goal = uniform * mass;
  for (int32_t id : ids_) {
    goal -= Weight(id, t);
    if (goal < 0) return id;
  }
  return ids_.back();
}

}  // namespace attend::search
