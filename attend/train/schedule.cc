#include "attend/train/schedule.h"

#include <algorithm>
#include <cmath>

namespace attend::train {

double Rate(const TrainOptions& options, int64_t step, double progress, const PlateauState& plateau) {
  const double n = static_cast<double>(step + 1), warmup = static_cast<double>(options.warmup);
  const double rise = options.warmup > 0 ? std::min(1.0, n / warmup) : 1.0;
  progress = std::clamp(progress, 0.0, 1.0);
  double factor = 1;
  switch (options.schedule) {
    case Schedule::constant:
      break;
    case Schedule::inverse_sqrt:
      factor = n > warmup ? std::sqrt(std::max(1.0, warmup) / n) : 1;
      break;
    case Schedule::cosine:
      factor = options.final_rate + (1 - options.final_rate) * 0.5 * (1 + std::cos(M_PI * progress));
      break;
    case Schedule::linear: {
      const double falling = options.hold < 1 ? std::max(0.0, progress - options.hold) / (1 - options.hold) : 0;
      factor = 1 - (1 - options.final_rate) * falling;
      break;
    }
    case Schedule::plateau:
      factor = std::max(options.final_rate, plateau.factor);
      break;
  }
  return options.learning_rate * rise * factor;
}

void Observe(const TrainOptions& options, bool improved, PlateauState& plateau) {
  plateau.waited = improved ? 0 : plateau.waited + 1;
  if (plateau.waited < options.plateau_patience) return;
  plateau.factor *= options.plateau_factor;
  plateau.waited = 0;
}

}  // namespace attend::train
