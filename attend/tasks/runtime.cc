#include "attend/tasks/runtime.h"

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include "attend/config/options.h"
#include "attend/data/model_directory.h"
#include "attend/tasks/matmul.h"
#include "attend/tasks/model_files.h"
#include "attend/tasks/translate.h"
#include "attend/train/weights.h"

namespace attend::tasks {
namespace {

// torch's own exceptions carry a C++ stack trace; a user gets their first line.
template <class F>
auto Guard(const F& f) {
  try {
    return f();
  } catch (const c10::Error& e) {
    throw SystemError("[torch] " + std::string(e.what_without_backtrace()));
  } catch (const std::bad_alloc&) {
    throw SystemError("[memory] expected enough memory; found none left: lower train.batch_tokens or the sizes of the model");
  }
}

class TorchRuntime : public Runtime {
 public:
  bool Train(const TrainRequest& request) override { return Guard([&] { return TrainTranslator(request); }); }

  std::unique_ptr<Predictor> Load(const std::string& model, const Machine& machine) override {
    return Guard([&] { return LoadTranslator(model, machine); });
  }

  void Average(std::span<const std::string> models, const std::string& out) override {
    Guard([&] { AverageModels(models, out); });
  }

  std::vector<std::string> Facts(const Machine& machine) override {
    return {"torch: " TORCH_VERSION, "matrix products: " + ChooseMatrixProducts(), "vector instructions: " + at::get_cpu_capability()};
  }

 private:
  static void AverageModels(std::span<const std::string> models, const std::string& out) {
    const data::ModelDirectory first{Path(models[0])}, target{Path(out)};
    first.ExpectModel("model");
    if (target.State() != data::DirectoryState::absent) throw UserError("out", "a new folder", out + ", which exists");
    const RunOptions options = ReadConfig(first);
    const text::Tokenizers tokenizers = text::LoadTokenizers(models[0]);
    auto sum = MakeModel(options, tokenizers), one = MakeModel(options, tokenizers);
    const train::NamedTensors total = train::Parameters(*sum), part = train::Parameters(*one);
    const at::NoGradGuard no_grad;
    for (size_t i = 0; i < models.size(); i++) {
      const data::ModelDirectory directory{Path(models[i])};
      directory.ExpectModel("model");
      train::LoadTensors(directory.model(), part);
      for (const auto& [name, t] : total) i == 0 ? t.detach().copy_(part.at(name)) : t.detach().add_(part.at(name));
    }
    for (const auto& [name, t] : total) t.detach().div_(static_cast<double>(models.size()));
    target.Create();
    WriteFile(target.config(), config::ToYaml(options));
    text::SaveTokenizers(tokenizers, out);
    std::string of;
    for (const std::string& m : models) of += (of.empty() ? "" : ", ") + m;
    train::SaveTensors(target.model(), total, {{"producer", "attend"}, {"task", std::string(Name(options.task))}, {"average_of", of}});
    target.MarkFinished();
  }
};

}  // namespace
}  // namespace attend::tasks

extern "C" attend::tasks::Runtime* attend_runtime() {
  static attend::tasks::TorchRuntime runtime;
  return &runtime;
}
