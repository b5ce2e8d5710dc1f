#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "attend/train/options.h"
#include "attend/train/weights.h"

namespace attend::train {

// Turns gradients into updates of the parameters and their moving average. Its state is tensors beside the parameters, saved and
// loaded by name. Parameters are handled in groups that may be updated by different threads at the same time.
class Updater {
 public:
  Updater(const TrainOptions& options, const NamedTensors& parameters, int groups);

  // Parameters in the order in which gradients are given.
  const std::vector<at::Tensor>& parameters() const { return parameters_; }
  int groups() const { return static_cast<int>(groups_.size()); }

  // Sum over parts of parts[k][i] into parts[0][i] for the parameters of one group, in the order of the parts, times `scale`;
  // returns the sum of squares. An undefined gradient is zero.
  double Reduce(int group, std::vector<std::vector<at::Tensor>>& parts, double scale) const;
  // One update of a group with gradients that were reduced, each times `factor` (clipping). step from 1.
  void Update(int group, const std::vector<at::Tensor>& gradients, double factor, double rate, int64_t step);

  // Optimiser moments ("exp_avg.<parameter>", ...) and the moving average.
  NamedTensors State() const;
  const NamedTensors& average() const { return ema_by_name_; }  // empty without EMA

 private:
  TrainOptions options_;
  std::vector<std::string> names_;
  std::vector<at::Tensor> parameters_, first_, second_, ema_;
  NamedTensors ema_by_name_;
  std::vector<std::vector<size_t>> groups_;
};

}  // namespace attend::train
