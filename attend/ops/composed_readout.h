#pragma once

#include <ATen/core/Tensor.h>

#include <span>

#include "attend/base/enum.h"

namespace attend::ops {

// What the operator can do with the weights; spec::Readout and its estimator choose among these.
enum class OperatorReadout {
#define ATTEND_OPERATOR_READOUT(name, help) name,
#include "attend/ops/readouts.def"
#undef ATTEND_OPERATOR_READOUT
};
std::span<const Choice> Choices(OperatorReadout);

// What is read of the values: read (B, Hq, Tq, Tk) multiplies them. index (B, Hq, Tq) int64: the position that was chosen, -1 where
// nothing is visible; undefined where none is.
struct Selection {
  at::Tensor read, index;
};

struct ReadoutArgs {
  at::Tensor weights;  // (B, Hq, Tq, Tk): the distribution, 0 where invisible
  at::Tensor noise;    // like weights: draws of a Gumbel distribution where kDraws
  at::Tensor index;    // the choice of the forward pass, in the backward pass
  double temperature = 1;
};

// The composed formula of one readout: file ops/readouts/<name>.h specialises it with
//   static constexpr bool kChooses;      // one position is chosen, so that there is a sample to return
//   static constexpr bool kDraws;        // reads noise, and needs a seed
//   static constexpr bool kTemperature;  // reads temperature
//   static Selection Forward(const ReadoutArgs&);
//   static at::Tensor Backward(const ReadoutArgs&, const Selection&, const at::Tensor& grad_read);  // -> like weights; left out: the
//                                                                                                   // choice has no gradient
template <OperatorReadout readout>
struct ComposedReadout;

// The same, chosen at run time.
struct ReadoutTraits {
  bool chooses, draws, temperature, differentiates;
};
ReadoutTraits TraitsOf(OperatorReadout readout);
Selection Select(OperatorReadout readout, const ReadoutArgs& args);
at::Tensor SelectBackward(OperatorReadout readout, const ReadoutArgs& args, const Selection& selection, const at::Tensor& grad_read);

// For readouts: the position of the largest of perturbed log-weights (B, Hq, Tq, Tk) -> (B, Hq, Tq), -1 where all weights are 0; the
// first of equals.
at::Tensor Largest(const at::Tensor& values, const at::Tensor& weights);
// 1 at the position chosen: index (B, Hq, Tq) -> like weights.
at::Tensor OneHot(const at::Tensor& index, const at::Tensor& weights);
// log w_index (B, Hq, Tq), 0 where index is -1; and its gradient's part of the weights'.
at::Tensor LogWeight(const at::Tensor& weights, const at::Tensor& index);
at::Tensor LogWeightBackward(const at::Tensor& weights, const at::Tensor& index, const at::Tensor& grad);

}  // namespace attend::ops
