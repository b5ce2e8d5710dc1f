#pragma once

#include <memory>
#include <string>

#include "attend/tasks/runtime.h"

// What a task is made of. Task x is the namespace tasks::x, in tasks/x.cc, and one line of tasks.def.
namespace attend::tasks {

#define ATTEND_TASK(name, help)                                                      \
  namespace name {                                                                   \
  bool Train(const TrainRequest& request);                                           \
  std::unique_ptr<Predictor> Load(const std::string& model, const Machine& machine); \
  }
#include "attend/tasks/tasks.def"
#undef ATTEND_TASK

}  // namespace attend::tasks
