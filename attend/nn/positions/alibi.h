#pragma once

#include <ATen/ops/arange.h>
#include <ATen/ops/exp2.h>

#include "attend/nn/positions.h"

namespace attend::nn::positions {

// A key's score falls with its distance, in each head at another rate: m_h = 2^(-8 h / H) (Press et al. 2022, section 3).
class alibi : public Positions {
 public:
  std::unique_ptr<Places> At(const Span&, const at::TensorOptions& like) const override {
    struct Sloping : Places {
      at::TensorOptions like;
      void Add(ops::AttentionArgs& args, int64_t heads) const override {
        args.alibi_slopes = at::exp2(at::arange(1, heads + 1, like) * (-8.0 / static_cast<double>(heads)));
      }
    };
    auto out = std::make_unique<Sloping>();
    out->like = like.requires_grad(false);
    return out;
  }
};

inline std::shared_ptr<Positions> Make(const spec::AlibiPositions&, const PositionSizes&) { return std::make_shared<alibi>(); }

}  // namespace attend::nn::positions
