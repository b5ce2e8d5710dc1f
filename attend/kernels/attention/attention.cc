#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "attend/kernels/attention/problem.h"
#include "attend/kernels/attention/shares.h"
#include "attend/kernels/attention/storage.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attend/kernels/attention/attention.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "attend/kernels/attention/backward-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attend::kernels::HWY_NAMESPACE {

void ForwardShare(const attention::Problem& p, const attention::Outputs& out, const attention::Share& share) {
  static thread_local fused::ForwardPass pass;
  pass.Run(p, out, share);
}

void BackwardShare(const attention::Problem& p, const attention::Gradients& gradients, const attention::Share& share,
                   const attention::KeySums& sums) {
  static thread_local fused::BackwardPass pass;
  pass.Run(p, gradients, share, sums);
}

// One row of keys: e^2k, or NaN and nothing.
void PrepareRow(const char* key, attention::Element type, int64_t dim, float* to) {
  fused::LoadRow(key, type, dim, to);
  if (fused::WithinLimit(to, dim))
    fused::ExpTwice(to, dim, fused::kKeyLimit);
  else
    to[0] = std::numeric_limits<float>::quiet_NaN();
}

void FinishHead(const attention::Problem& p, const attention::Gradients& gradients, const attention::Share& share,
                const attention::KeySums* sums, int64_t count) {
  fused::FinishHead(p, gradients, *share.sequence, share.kv_head, sums, count);
}

}  // namespace attend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attend::kernels {
HWY_EXPORT(ForwardShare);
HWY_EXPORT(BackwardShare);
HWY_EXPORT(FinishHead);
HWY_EXPORT(PrepareRow);

namespace attention {
namespace {

// The gradients themselves as sums; of queries that are few, which take a key and a value as a whole.
KeySums::Of InPlace(const Sequence& s, const MutableVectors& to, int64_t kv_head, int64_t first) {
  float* data = static_cast<float*>(to.data) + s.row * to.batch + kv_head * to.head + s.key_start * to.position;
  return {data + first * to.position, 1, to.position, true};
}

// Memory for the sums of shares whose head is not finished yet, kept from call to call as each thread's own is.
class Pool {
 public:
  std::unique_ptr<Storage> Take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return std::make_unique<Storage>();
    std::unique_ptr<Storage> storage = std::move(free_.back());
    free_.pop_back();
    return storage;
  }
  void Give(std::unique_ptr<Storage> storage) {
    constexpr size_t kMost = 8;
    storage->GiveBack();
    const std::lock_guard lock(mutex_);
    if (free_.size() < kMost) free_.push_back(std::move(storage));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Storage>> free_;
};

// The sums of one share, in memory of its own or where the gradients go.
KeySums Lay(const Problem& p, const Gradients& g, const Share& share, Storage& storage) {
  KeySums sums;
  sums.panels = HullOf(VisibilityOfHeads(p, share), share);
  const Sequence& s = *share.sequence;
  const bool scores = p.score != Score::given && (g.query.data || g.key.data || g.param), few = IsFew(p, share);
  const auto exact = [](const MutableVectors& to) { return to.data && to.type == Element::float32; };
  const bool key_in_place = few && exact(g.key) && (p.score == Score::dot || (p.score == Score::additive && p.dim % kStripe == 0));
  const bool value_in_place = few && exact(g.value);
  sums.scores = scores;
  // Of few queries and of products, sums that nobody wants are not made.
  const bool key_sums = scores && !key_in_place && (g.key.data || !(few || p.score == Score::dot));
  const int64_t keys = sums.keys(), key = key_sums ? keys * KeyWidth(p) : 0;
  const int64_t value = g.value.data && !value_in_place ? keys * ValueWidth(p) : 0;
  const int64_t column = scores && p.score == Score::euclidean ? keys : 0;
  const int64_t param = g.param ? p.heads / p.kv_heads * ParamWidth(p) : 0, all = key + value + column + param;
  float* at = storage.AtLeast(all + 1);
  std::fill_n(at, all, 0.0f);
  const int64_t first = sums.panels.begin * kPanel;
  if (key_in_place)
    sums.key = InPlace(s, g.key, share.kv_head, first);
  else if (key_sums)
    sums.key = {at, keys, p.score == Score::additive ? kStripe : kPanel, false};
  if (p.score == Score::dot && !few) sums.key.factor = p.scale;
  if (value_in_place)
    sums.value = InPlace(s, g.value, share.kv_head, first);
  else if (g.value.data)
    sums.value = {at + key, keys, kPanel, false};
  if (column) sums.column = at + key + value;
  if (param) sums.param = at + key + value + column;
  return sums;
}

}  // namespace

void Prepare(const Vectors& key, int64_t batch, int64_t heads, int64_t positions, int64_t dim, float* prepared, const Parallel& parallel) {
  parallel(batch * heads, [&](int64_t task) {
    const int64_t b = task / heads, h = task % heads, size = key.type == Element::float32 ? 4 : 2;
    for (int64_t j = 0; j < positions; j++) HWY_DYNAMIC_DISPATCH(PrepareRow)
    (static_cast<const char*>(key.data) + (b * key.batch + h * key.head + j * key.position) * size, key.type, dim,
     prepared + (task * positions + j) * dim);
  });
}

void Forward(const Problem& problem, const Outputs& outputs, const Parallel& parallel) {
  const std::vector<Share> shares = Shares(problem);
  const auto n = static_cast<int64_t>(shares.size());
  parallel(n, [&](int64_t task) {  // the last first: with causal attention they take longest
    HWY_DYNAMIC_DISPATCH(ForwardShare)(problem, outputs, shares[static_cast<size_t>(n - 1 - task)]);
  });
}

void Backward(const Problem& problem, const Gradients& gradients, const Parallel& parallel) {
  const std::vector<Share> shares = Shares(problem);
  // Shares of one sequence and key head follow each other; whoever finishes the last of them adds up all.
  struct Head {
    size_t first = 0, count = 0;
    std::atomic<size_t> left{0};
  };
  std::vector<size_t> head_of(shares.size());
  size_t heads = 0;
  for (size_t i = 0; i < shares.size(); i++) {
    const bool same = i > 0 && shares[i].sequence == shares[i - 1].sequence && shares[i].kv_head == shares[i - 1].kv_head;
    if (!same) heads++;
    head_of[i] = heads - 1;
  }
  std::vector<Head> all(heads);
  for (size_t i = shares.size(); i-- > 0;) {
    all[head_of[i]].first = i;
    all[head_of[i]].count++;
    all[head_of[i]].left++;
  }
  std::vector<KeySums> sums(shares.size());
  std::vector<std::unique_ptr<Storage>> storage(shares.size());
  static Pool pool;
  const auto n = static_cast<int64_t>(shares.size());
  parallel(n, [&](int64_t task) {
    const auto i = static_cast<size_t>(n - 1 - task);
    Head& head = all[head_of[i]];
    static thread_local Storage own;  // where a head is one share
    if (head.count > 1) storage[i] = pool.Take();
    sums[i] = Lay(problem, gradients, shares[i], head.count > 1 ? *storage[i] : own);
    HWY_DYNAMIC_DISPATCH(BackwardShare)(problem, gradients, shares[i], sums[i]);
    if (head.left.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
    HWY_DYNAMIC_DISPATCH(FinishHead)(problem, gradients, shares[i], sums.data() + head.first, static_cast<int64_t>(head.count));
    own.GiveBack();
    for (size_t k = head.first; head.count > 1 && k < head.first + head.count; k++) pool.Give(std::move(storage[k]));
  });
}

}  // namespace attention
}  // namespace attend::kernels
#endif
