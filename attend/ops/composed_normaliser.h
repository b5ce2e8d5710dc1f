#pragma once

#include <ATen/core/Tensor.h>

#include "attend/spec/mechanisms.h"

namespace attend::ops {

struct Normalised {
  at::Tensor weights;  // like the scores; 0 where invisible
  at::Tensor lse;      // (B, Hq, Tq); undefined where not asked for
};

// The composed formula of one normaliser: file ops/normalisers/<name>.h specialises it with
//   static Normalised Forward(const at::Tensor& scores, bool hidden, bool lse);  // (B, Hq, Tq, Tk); invisible scores are -inf;
//                                                                              // hidden: some may be
//   static at::Tensor Backward(const at::Tensor& weights, const at::Tensor& grad_weights, const at::Tensor& grad_lse);
// where either gradient may be undefined, but not both. Backward is optional where there is no lse: else by autograd.
template <spec::Normaliser normaliser>
struct ComposedNormaliser;

}  // namespace attend::ops
