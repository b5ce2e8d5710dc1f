#pragma once

#include <torch/torch.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "attend/data/stream.h"
#include "attend/kernels/random.h"
#include "attend/train/trainer.h"
#include "attend/train/weights.h"
#include "gtest/gtest.h"

// A tiny translator and a corpus of letters for it, trained in process.
namespace attend::train {

// A folder that goes when the test ends.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/attend-train-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  operator const Path&() const { return path_; }
  Path operator/(const std::string& name) const { return path_ / name; }

 private:
  Path path_;
};

constexpr int32_t kPadding = 0, kStart = 1, kEnd = 2, kLetters = 3;
constexpr int64_t kVocabulary = kLetters + 8;

// Lines of letters a to h; the target is the source backwards.
inline data::Corpus Letters(const Path& folder, int lines, int length = 0) {
  std::ofstream source(folder / "source"), target(folder / "target");
  random::Stream draws(9);
  for (int i = 0; i < lines; i++) {
    std::string line;
    const int n = length > 0 ? length : 1 + static_cast<int>(draws.Below(7));
    for (int k = 0; k < n; k++) line += static_cast<char>('a' + draws.Below(8));
    source << line << "\n";
    target << std::string(line.rbegin(), line.rend()) << "\n";
  }
  source.close();
  target.close();
  data::DataOptions options;
  options.cache = folder.string();
  return data::Corpus::OpenColumns({{(folder / "source").string()}, {(folder / "target").string()}}, options, "data.train");
}

inline std::vector<data::Side> Sides() {
  const auto encode = [](std::string_view text, uint64_t, std::vector<int32_t>& ids, std::vector<int32_t>*) {
    for (char c : text) ids.push_back(kLetters + c - 'a');
  };
  return {{"source", encode, kEnd, kPadding}, {"target", encode, kEnd, kPadding}};
}

inline models::ModelOptions TinyModel(double dropout = 0.3, int64_t size = 8) {
  nn::RecurrentEncoderOptions encoder;
  encoder.size = size;
  encoder.embedding = size;
  encoder.dropout = encoder.embedding_dropout = dropout;
  nn::RecurrentDecoderOptions decoder;
  decoder.size = 2 * size;
  decoder.embedding = size;
  decoder.dropout = decoder.embedding_dropout = dropout;
  models::ModelOptions options;
  options.encoder = encoder;
  options.decoder = decoder;
  return options;
}

class Toy : public Trainable {
 public:
  explicit Toy(const models::ModelOptions& options = TinyModel(), int64_t vocabulary = kVocabulary) {
    models::VocabularySizes sizes;
    sizes.source = sizes.target = vocabulary;
    sizes.padding = kPadding;
    sizes.start = kStart;
    sizes.shared = true;
    model_ = std::make_shared<models::SequenceModel>(options, sizes);
    nn::Materialise(*model_, 1);
  }
  nn::Module& module() override { return *model_; }

  models::LossSum Loss(const data::Batch& batch, nn::Context& context) const override {
    if (before_loss) before_loss(static_cast<int64_t>(context.step), batch);
    models::LossSum sum = model_->Loss(batch, {smoothing, 0}, context);
    if (poison && static_cast<int64_t>(context.step) == *poison) sum.total = sum.total * std::numeric_limits<double>::quiet_NaN();
    return sum;
  }

  Validation Validate(models::Workers&, int64_t) override {
    seen.push_back(Snapshot());
    Validation v;
    const at::NoGradGuard no_grad;
    nn::Context context;
    const auto sum = model_->Loss(valid, {}, context);
    v.perplexity = std::exp(sum.nll / static_cast<double>(sum.tokens));
    v.selected = judge ? judge(static_cast<int64_t>(seen.size())) : v.perplexity;
    return v;
  }
  data::Metadata ModelMetadata() const override { return {{"task", "toy"}}; }

  NamedTensors Snapshot() {
    NamedTensors out;
    for (const auto& [name, t] : Parameters(*model_)) out[name] = t.detach().clone();
    return out;
  }

  data::Batch valid;
  double smoothing = 0.1;
  std::function<void(int64_t step, const data::Batch& batch)> before_loss;  // step: -1 where memory is measured
  std::function<double(int64_t validation)> judge;                          // the metric, instead of perplexity
  std::optional<int64_t> poison;                                            // the step whose loss is not a number
  std::vector<NamedTensors> seen;                                           // the weights that were validated

 private:
  std::shared_ptr<models::SequenceModel> model_;
};

struct Settings {
  TrainOptions train;
  data::StreamOptions stream;
  int workers = 2;

  Settings() {
    train.epochs = 1000;
    train.steps = 12;
    train.batch_tokens = 60;
    train.learning_rate = 0.01;
    train.warmup = 4;
    train.validate_steps = 5;
    train.metric = metrics::MetricKind::perplexity;
    train.ema = 0.9;
    train.log_steps = 1;
    stream.window = 16;
  }
};

inline RunResult Go(Toy& task, const Settings& setup, const data::Corpus& corpus, const Path& out) {
  const data::ModelDirectory directory{out};
  directory.Create();
  data::StreamOptions stream = setup.stream;
  stream.size = {setup.train.batch_tokens, setup.train.batch_sentences};
  stream.seed = static_cast<uint64_t>(setup.train.seed);
  task.valid = data::BatchStream(corpus, Sides(), stream).Next();
  const auto open = [&](data::Position position) {
    return std::make_unique<data::PrefetchedStream>(std::make_unique<data::BatchStream>(corpus, Sides(), stream, position));
  };
  models::Workers workers(setup.workers);
  Progress progress(false);
  testing::internal::CaptureStderr();
  try {
    const RunResult result = Train(task, setup.train, directory, open, workers, progress, 0);
    testing::internal::GetCapturedStderr();
    return result;
  } catch (...) {
    testing::internal::GetCapturedStderr();
    throw;
  }
}

// Asks for a stop while update `step` (from 0) is computed.
inline void StopAt(Toy& task, int64_t step) {
  auto done = std::make_shared<std::atomic<bool>>(false);
  task.before_loss = [step, done](int64_t now, const data::Batch&) {
    if (now == step && !done->exchange(true)) std::raise(SIGTERM);
  };
}

}  // namespace attend::train
