#pragma once

#include "attend/tasks/runtime.h"

namespace attend::tasks {

// Trains a translator; see Runtime::Train.
bool TrainTranslator(const TrainRequest& request);

// Loads a trained one.
std::unique_ptr<Predictor> LoadTranslator(const std::string& model, const Machine& machine);

}  // namespace attend::tasks
