#include "attend/train/optimiser.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace attend::train {

using at::Tensor;

Updater::Updater(const TrainOptions& options, const NamedTensors& parameters, int groups) : options_(options) {
  const at::NoGradGuard no_grad;
  // SGD wants no buffers at all where there is no momentum.
  const bool adam = options.optimiser != Optimiser::sgd, momentum = adam || options.momentum > 0;
  for (const auto& [name, parameter] : parameters) {
    names_.push_back(name);
    parameters_.push_back(parameter);
    if (momentum) first_.push_back(at::zeros_like(parameter));
    if (adam) second_.push_back(at::zeros_like(parameter));
    if (options.ema > 0) {
      ema_.push_back(parameter.detach().clone());
      ema_by_name_[name] = ema_.back();
    }
  }
  // Largest first, each to the lightest group.
  std::vector<size_t> order(parameters_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return parameters_[a].numel() > parameters_[b].numel(); });
  groups_.resize(static_cast<size_t>(std::max(1, groups)));
  std::vector<int64_t> load(groups_.size());
  for (size_t i : order) {
    const size_t g = static_cast<size_t>(std::min_element(load.begin(), load.end()) - load.begin());
    groups_[g].push_back(i);
    load[g] += parameters_[i].numel();
  }
}

double Updater::Reduce(int group, std::vector<std::vector<Tensor>>& parts, double scale) const {
  const at::NoGradGuard no_grad;
  double squares = 0;
  for (size_t i : groups_[static_cast<size_t>(group)]) {
    Tensor& sum = parts[0][i];
    for (size_t k = 1; k < parts.size(); k++) {
      if (!parts[k][i].defined()) continue;
      if (sum.defined())
        sum.add_(parts[k][i]);
      else
        sum = parts[k][i];
      parts[k][i] = Tensor();
    }
    if (!sum.defined()) sum = at::zeros_like(parameters_[i]);
    if (scale != 1) sum.mul_(scale);
    sum = sum.contiguous();
    squares += at::dot(sum.view(-1), sum.view(-1)).item<double>();
  }
  return squares;
}

void Updater::Update(int group, const std::vector<Tensor>& gradients, double factor, double rate, int64_t step) {
  const at::NoGradGuard no_grad;
  const TrainOptions& o = options_;
  const Tensor count = at::full({}, static_cast<double>(step), at::kFloat);
  for (const bool matrices : {true, false}) {  // biases, and the weights of norms, do not decay
    const double decay = matrices ? o.weight_decay : 0;
    std::vector<Tensor> parameters, grads, first, second, steps, none;
    for (size_t i : groups_[static_cast<size_t>(group)]) {
      if ((parameters_[i].dim() > 1) != matrices) continue;
      if (factor != 1) gradients[i].mul_(factor);
      parameters.push_back(parameters_[i].detach());
      grads.push_back(gradients[i]);
      if (!first_.empty()) first.push_back(first_[i]);
      if (!second_.empty()) second.push_back(second_[i]);
      steps.push_back(count);
    }
    if (parameters.empty()) continue;
    switch (o.optimiser) {
      case Optimiser::adam:
        at::_fused_adam_(parameters, grads, first, second, none, steps, rate, o.beta1, o.beta2, decay, o.epsilon, false, false);
        break;
      case Optimiser::adamw:
        at::_fused_adamw_(parameters, grads, first, second, none, steps, rate, o.beta1, o.beta2, decay, o.epsilon, false, false);
        break;
      case Optimiser::sgd:
        at::_fused_sgd_(parameters, grads, first, decay, o.momentum, rate, 0.0, false, false, step == 1);
        break;
    }
  }
  if (ema_.empty()) return;
  // Early on the average follows faster: it would otherwise remember the random start.
  const double decay = std::min(o.ema, static_cast<double>(step) / static_cast<double>(step + 10));
  for (size_t i : groups_[static_cast<size_t>(group)]) ema_[i].lerp_(parameters_[i].detach(), 1 - decay);
}

NamedTensors Updater::State() const {
  NamedTensors out;
  for (size_t i = 0; i < names_.size(); i++) {
    if (!first_.empty()) out[(second_.empty() ? "momentum." : "exp_avg.") + names_[i]] = first_[i];
    if (!second_.empty()) out["exp_avg_sq." + names_[i]] = second_[i];
    if (!ema_.empty()) out["ema." + names_[i]] = ema_[i];
  }
  return out;
}

}  // namespace attend::train
