#pragma once

#include <string>

#include "attend/nn/given_score.h"

namespace attend::nn::scores {

// s_ij = (W q_i)_j: a row of W for each of a fixed number of positions, each head its own W (Luong et al. 2015, eq. 8).
class position : public GivenScore {
 public:
  position(const spec::AttentionSpec& spec, int64_t query_size, int64_t)
      : GivenScore(query_size, spec.heads * spec.Positions()), heads_(spec.heads), positions_(spec.Positions()) {}
  at::Tensor OfKeys(const at::Tensor&) const override { return {}; }
  at::Tensor Scores(const at::Tensor& projected, const at::Tensor&, int64_t keys) const override {
    if (keys > positions_)
      throw UserError("attention", "at most " + std::to_string(positions_) + " keys with score position (attention.positions)",
                      std::to_string(keys));
    return projected.view({projected.size(0), projected.size(1), heads_, positions_}).transpose(1, 2).slice(3, 0, keys);
  }
  int64_t longest() const override { return positions_; }

 private:
  int64_t heads_, positions_;
};

}  // namespace attend::nn::scores

namespace attend::nn {

template <>
struct LayerScore<spec::Score::position> {
  using Type = scores::position;
};

}  // namespace attend::nn
