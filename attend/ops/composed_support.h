#pragma once

#include "attend/ops/visibility.h"

namespace attend::ops {

// The composed formula of one support: file ops/supports/<name>.h specialises it, for the struct of its options in spec/supports.h, with
//   static bool Asked(const Call&);                       // does this call restrict visibility so?
//   static at::Tensor Visible(const Call&, Positions&);   // bool, broadcasts to (B, Hq, Tq, Tk)
//   static constexpr bool kSeesGlobalKeys = false;        // optional: global keys do not widen it
// and, where it also multiplies the weights,
//   static at::Tensor Factors(const Call&, Positions&, at::ScalarType);
//   static at::Tensor CentersBackward(const Call&, Positions&, const at::Tensor& factors, const at::Tensor& grad_factors);
template <class Options>
struct ComposedSupport;

}  // namespace attend::ops
