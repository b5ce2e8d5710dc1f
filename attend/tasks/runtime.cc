#include "attend/tasks/runtime.h"

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include "attend/data/model_directory.h"
#include "attend/ops/tensor_memory.h"
#include "attend/tasks/average.h"
#include "attend/tasks/matmul.h"
#include "attend/tasks/options.h"
#include "attend/tasks/task.h"

namespace attend::tasks {
namespace {

[[noreturn]] void FailMemory() {
  throw SystemError(
      "[memory] expected enough memory; found none left: lower train.batch_tokens, search.batch_tokens or the sizes of the model");
}

// torch's own exceptions carry a C++ stack trace; a user gets their first line.
template <class F>
auto Guard(const F& f) {
  try {
    return f();
  } catch (const c10::Error& e) {
    const std::string all = e.what_without_backtrace();
    if (all.find("allocate memory") != std::string::npos) FailMemory();
    throw SystemError("[torch] " + all.substr(0, all.find('\n')));
  } catch (const std::bad_alloc&) {
    FailMemory();
  }
}

class GuardedPredictor : public Predictor {
 public:
  explicit GuardedPredictor(std::unique_ptr<Predictor> predictor) : predictor_(std::move(predictor)) {}

  std::vector<std::vector<Output>> Predict(std::span<const std::string> lines, const PredictRequest& request,
                                           std::vector<std::string>& notices) override {
    return Guard([&] { return predictor_->Predict(lines, request, notices); });
  }
  std::vector<Output> Score(std::span<const std::string> lines, std::span<const std::string> references, bool alignments,
                            bool maps) override {
    return Guard([&] { return predictor_->Score(lines, references, alignments, maps); });
  }
  std::string_view task() const override { return predictor_->task(); }
  bool continues() const override { return predictor_->continues(); }
  Output Generate(const GenerateRequest& request, const std::function<void(std::string_view)>& write) override {
    return Guard([&] { return predictor_->Generate(request, write); });
  }
  std::vector<metrics::Metric> EvaluateText(std::string_view text) override {
    return Guard([&] { return predictor_->EvaluateText(text); });
  }
  Evaluation Evaluate(std::span<const std::string> lines, std::span<const std::string> references, const EvaluateRequest& request,
                      std::vector<std::string>& notices) override {
    return Guard([&] { return predictor_->Evaluate(lines, references, request, notices); });
  }

 private:
  std::unique_ptr<Predictor> predictor_;
};

struct Entry {
  Task task;
  bool (*train)(const TrainRequest&);
  std::unique_ptr<Predictor> (*load)(const std::string&, const Machine&);
};
constexpr Entry kTasks[] = {
#define ATTEND_TASK(name, help) {Task::name, name::Train, name::Load},
#include "attend/tasks/tasks.def"
#undef ATTEND_TASK
};

const Entry& Find(const config::Source& source) {
  const auto given = source.Peek("task");
  const Task task = given ? ParseChoice<Task>("task", *given) : RunOptions{}.task;
  for (const Entry& entry : kTasks)
    if (entry.task == task) return entry;
  throw std::logic_error("a task that is not in tasks.def");
}

class TorchRuntime : public Runtime {
 public:
  bool Train(const TrainRequest& request) override {
    return Guard([&] { return Find(request.source).train(request); });
  }

  std::unique_ptr<Predictor> Load(const std::string& model, const Machine& machine) override {
    const data::ModelDirectory directory{Path(model)};
    directory.ExpectModel("model");
    return std::make_unique<GuardedPredictor>(
        Guard([&] { return Find(config::Source::FromFile(directory.config().string())).load(model, machine); }));
  }

  void Average(std::span<const std::string> models, const std::string& out) override {
    Guard([&] { tasks::Average(models, out); });
  }

  std::vector<std::string> Facts(const Machine&) override {
    const std::string training = ChooseMatrixProducts(train::Precision::automatic);
    return {"torch: " TORCH_VERSION, "matrix products: " + ChooseMatrixProducts(),
            "matrix products of training, train.precision auto: " + training, "vector instructions: " + at::get_cpu_capability()};
  }
};

}  // namespace
}  // namespace attend::tasks

extern "C" attend::tasks::Runtime* attend_runtime() {
  attend::ops::KeepTensorMemory();
  static attend::tasks::TorchRuntime runtime;
  return &runtime;
}
