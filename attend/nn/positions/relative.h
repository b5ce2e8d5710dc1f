#pragma once

#include <ATen/ops/arange.h>
#include <ATen/ops/log.h>
#include <ATen/ops/where.h>

#include <cmath>

#include "attend/base/error.h"
#include "attend/nn/positions.h"

namespace attend::nn::positions {

// A number for each head and bucket of distances joins the score (Raffel et al. 2020, section 2.1; the buckets are those of its published
// program: half of them one distance each, the others ranges that grow as powers; where keys may stand on both sides, each side has half).
class relative : public Positions {
 public:
  relative(const spec::RelativePositions& options, const PositionSizes& sizes) : options_(options), causal_(sizes.causal) {
    if (sizes.heads == 0)
      throw UserError(sizes.path, "layers of equally many heads with relative positions, which they share", "layers that differ in it");
    const int64_t side = options.buckets / (causal_ ? 1 : 2);
    if (options.distance <= side / 2)
      throw UserError(sizes.path + ".distance", "one above the " + std::to_string(side / 2) + " buckets of single distances",
                      std::to_string(options.distance));
    weight_ = AddParameter("weight", {sizes.heads, options.buckets}, Init::Normal(0.02));
  }

  std::unique_ptr<Places> At(const Span& span, const at::TensorOptions&) const override {
    struct Biased : Places {
      at::Tensor bias;  // (1, heads, T, keys)
      void Add(ops::AttentionArgs& args, int64_t) const override {
        args.attn_bias = bias;  // of self-attention alone, whose scores gain nothing else
      }
    };
    auto out = std::make_unique<Biased>();
    const auto whole = weight_.options().dtype(at::kLong).requires_grad(false);
    const at::Tensor query = at::arange(span.first, span.first + span.tokens, whole), key = at::arange(span.keys, whole);
    const at::Tensor bucket = Bucket(key.unsqueeze(0) - query.unsqueeze(1));  // (T, keys)
    out->bias = weight_.index_select(1, bucket.flatten()).view({1, weight_.size(0), span.tokens, span.keys});
    return out;
  }

 private:
  // ahead: key's position less the query's.
  at::Tensor Bucket(const at::Tensor& ahead) const {
    const int64_t side = options_.buckets / (causal_ ? 1 : 2), single = side / 2;
    const at::Tensor distance = causal_ ? (-ahead).clamp_min(0) : ahead.abs();
    // From `single` on, logarithmically up to the distance at which the last bucket begins.
    const double growth =
        static_cast<double>(side - single) / std::log(static_cast<double>(options_.distance) / static_cast<double>(single));
    const at::Tensor ranges =
        (at::log(distance.clamp_min(1).to(at::kDouble) / static_cast<double>(single)) * growth + 1e-9).to(at::kLong) + single;
    const at::Tensor of_side = at::where(distance < single, distance, ranges.clamp_max(side - 1));
    return causal_ ? of_side : of_side + (ahead > 0).to(at::kLong) * side;
  }

  spec::RelativePositions options_;
  bool causal_;
  at::Tensor weight_;  // (heads, buckets)
};

inline std::shared_ptr<Positions> Make(const spec::RelativePositions& o, const PositionSizes& sizes) {
  return std::make_shared<relative>(o, sizes);
}

}  // namespace attend::nn::positions
