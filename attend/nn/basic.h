#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <limits>

#include "attend/nn/context.h"
#include "attend/nn/module.h"

namespace attend::nn {

// Of sequences of which no part of a model says how long they may be.
inline constexpr int64_t kAnyLength = std::numeric_limits<int64_t>::max();

// y = x Wᵀ + b over the last dimension.
class Linear : public Module {
 public:
  Linear(int64_t inputs, int64_t outputs, bool bias = true);
  at::Tensor Forward(const at::Tensor& x) const;
  const at::Tensor& weight() const { return weight_; }  // (outputs, inputs)
  const at::Tensor& bias() const { return bias_; }      // (outputs) or undefined

 private:
  at::Tensor weight_, bias_;
};

// One vector for each id of a vocabulary; ids (...) int64 -> (..., size), scaled by size^power. The padding id's row takes no gradient.
class Embedding : public Module {
 public:
  Embedding(int64_t vocabulary, int64_t size, int64_t padding, double power = 0.25);
  at::Tensor Forward(const at::Tensor& ids) const;
  void Tie(const Embedding& other);                     // reads the other's vectors from now on and has no parameter of its own
  const at::Tensor& weight() const { return weight_; }  // (vocabulary, size)

 private:
  at::Tensor weight_;
  int64_t padding_;
  double scale_;
};

// Layer normalisation over the last dimension (Ba et al. 2016).
class LayerNorm : public Module {
 public:
  explicit LayerNorm(int64_t size);
  at::Tensor Forward(const at::Tensor& x) const;

 private:
  at::Tensor weight_, bias_;
};

// Dropout on the values of x (B, T, C) or (B, C), keyed by the module's path and the use's name; `position` of the first step.
// Nothing when not training or p = 0.
at::Tensor Dropout(const at::Tensor& x, double p, const Module& owner, std::string_view use, const Context& context, int64_t position = 0);

}  // namespace attend::nn
