#include <unistd.h>

#include <cmath>

#include "attend/train/optimiser.h"
#include "attend/train/progress.h"
#include "attend/train/schedule.h"
#include "attend/train/stop.h"
#include "tests/train/events_reader.h"
#include "tests/train/toy.h"

namespace attend::train {
namespace {

using at::Tensor;

TrainOptions With(Schedule schedule, int64_t warmup = 0) {
  TrainOptions o;
  o.schedule = schedule;
  o.warmup = warmup;
  o.learning_rate = 2;
  o.hold = 0.4;
  o.final_rate = 0.1;
  return o;
}

TEST(Rate, RisesInAStraightLineOverTheWarmUp) {
  for (const Choice& c : Choices(Schedule{})) {
    const TrainOptions o = With(static_cast<Schedule>(c.value), 4);
    for (int64_t step = 0; step < 4; step++)
      EXPECT_DOUBLE_EQ(Rate(o, step, 0, {}), 2 * static_cast<double>(step + 1) / 4) << c.name << " " << step;
    EXPECT_LE(Rate(o, 4, 0, {}), 2) << c.name;
  }
}

TEST(Rate, FollowsItsFormula) {
  EXPECT_DOUBLE_EQ(Rate(With(Schedule::constant), 1000, 1, {}), 2);
  EXPECT_DOUBLE_EQ(Rate(With(Schedule::inverse_sqrt, 100), 399, 0.9, {}), 2 * std::sqrt(100.0 / 400));
  EXPECT_DOUBLE_EQ(Rate(With(Schedule::inverse_sqrt), 3, 0.9, {}), 1);
  EXPECT_DOUBLE_EQ(Rate(With(Schedule::cosine), 9, 0, {}), 2);
  EXPECT_DOUBLE_EQ(Rate(With(Schedule::cosine), 9, 0.5, {}), 2 * 0.55);
  EXPECT_DOUBLE_EQ(Rate(With(Schedule::cosine), 9, 1, {}), 2 * 0.1);
  EXPECT_DOUBLE_EQ(Rate(With(Schedule::linear), 9, 0.4, {}), 2);
  EXPECT_DOUBLE_EQ(Rate(With(Schedule::linear), 9, 0.7, {}), 2 * 0.55);
  EXPECT_DOUBLE_EQ(Rate(With(Schedule::linear), 9, 1, {}), 2 * 0.1);
  TrainOptions held = With(Schedule::linear);
  held.hold = 1;
  EXPECT_DOUBLE_EQ(Rate(held, 9, 1, {}), 2);
  EXPECT_DOUBLE_EQ(Rate(With(Schedule::plateau), 9, 0.5, {.factor = 0.25, .waited = 1}), 0.5);
  EXPECT_DOUBLE_EQ(Rate(With(Schedule::plateau), 9, 0.5, {.factor = 0.01, .waited = 1}), 0.2);
  // Used time may run a little past its limit.
  for (Schedule s : {Schedule::cosine, Schedule::linear}) EXPECT_DOUBLE_EQ(Rate(With(s), 9, 1.3, {}), Rate(With(s), 9, 1, {}));
}

TEST(Rate, PlateauCountsValidationsWithoutImprovement) {
  TrainOptions o;
  o.plateau_patience = 2;
  o.plateau_factor = 0.5;
  PlateauState state;
  std::vector<double> factors;
  for (bool improved : {true, false, true, false, false, false, false, true, false}) {
    Observe(o, improved, state);
    factors.push_back(state.factor);
  }
  EXPECT_EQ(factors, (std::vector<double>{1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25}));
}

NamedTensors Four() {
  torch::manual_seed(3);
  return {{"a", torch::randn({3, 5})}, {"b", torch::randn({1})}, {"c", torch::randn({40})}, {"d", torch::randn({2, 2, 2})}};
}

// Our updates against torch's own optimiser, in any number of groups.
TEST(Updater, EqualsTorchsOptimisers) {
  struct Case {
    Optimiser optimiser;
    double momentum, decay;
  };
  for (const Case& c : {Case{Optimiser::adam, 0, 0},
                        {Optimiser::adam, 0, 0.1},
                        {Optimiser::adamw, 0, 0},
                        {Optimiser::adamw, 0, 0.1},
                        {Optimiser::sgd, 0, 0},
                        {Optimiser::sgd, 0.9, 0},
                        {Optimiser::sgd, 0.9, 0.1}})
    for (int groups : {1, 3, 9}) {
      SCOPED_TRACE(std::to_string(static_cast<int>(c.optimiser)) + " " + std::to_string(c.momentum) + " " + std::to_string(c.decay));
      TrainOptions o;
      o.optimiser = c.optimiser;
      o.momentum = c.momentum;
      o.weight_decay = c.decay;
      o.ema = 0;
      const NamedTensors ours = Four();
      std::vector<Tensor> theirs;
      for (const auto& [name, t] : Four()) theirs.push_back(t.clone().requires_grad_());
      const auto betas = std::make_tuple(o.beta1, o.beta2);
      // Vectors do not decay.
      const auto parameters = [&](auto options) {
        using Options = decltype(options);
        std::vector<Tensor> matrices, vectors;
        for (const Tensor& t : theirs) (t.dim() > 1 ? matrices : vectors).push_back(t);
        std::vector<torch::optim::OptimizerParamGroup> of;
        of.emplace_back(matrices, std::make_unique<Options>(Options(options).weight_decay(c.decay)));
        of.emplace_back(vectors, std::make_unique<Options>(Options(options).weight_decay(0)));
        return of;
      };
      std::unique_ptr<torch::optim::Optimizer> reference;
      if (c.optimiser == Optimiser::adam)
        reference = std::make_unique<torch::optim::Adam>(parameters(torch::optim::AdamOptions(0.01).betas(betas).eps(o.epsilon)));
      else if (c.optimiser == Optimiser::adamw)
        reference = std::make_unique<torch::optim::AdamW>(parameters(torch::optim::AdamWOptions(0.01).betas(betas).eps(o.epsilon)));
      else
        reference = std::make_unique<torch::optim::SGD>(parameters(torch::optim::SGDOptions(0.01).momentum(c.momentum)),
                                                        torch::optim::SGDOptions(0.01).momentum(c.momentum));
      Updater updater(o, ours, groups);
      EXPECT_EQ(updater.groups(), groups);
      for (int64_t step = 1; step <= 12; step++) {
        std::vector<std::vector<Tensor>> gradients(2);
        for (Tensor& t : theirs) {
          const Tensor a = torch::randn_like(t), b = torch::randn_like(t);
          gradients[0].push_back(a.detach().clone());
          gradients[1].push_back(b.detach().clone());
          t.mutable_grad() = (a.detach() + b.detach()) * 0.5;
        }
        double squares = 0, expected = 0;
        for (int g = 0; g < groups; g++) squares += updater.Reduce(g, gradients, 0.5);
        for (const Tensor& t : theirs) expected += t.grad().pow(2).sum().item<double>();
        EXPECT_NEAR(squares, expected, 1e-5 * expected);
        for (int g = 0; g < groups; g++) updater.Update(g, gradients[0], 1, 0.01, step);
        reference->step();
        size_t i = 0;
        for (const auto& [name, t] : ours) {
          // The same formula in another order: some eps a step.
          EXPECT_LE((t - theirs[i]).abs().max().item<double>(), 1e-6 * static_cast<double>(step)) << name << " step " << step;
          i++;
        }
      }
    }
}

TEST(Updater, UndefinedGradientsAreZeroAndClippingScales) {
  TrainOptions o;
  o.optimiser = Optimiser::sgd;
  o.momentum = 0;
  o.ema = 0;
  const NamedTensors p = {{"a", torch::zeros({2})}, {"b", torch::ones({2})}, {"c", torch::ones({2})}};
  Updater updater(o, p, 1);
  std::vector<std::vector<Tensor>> parts = {{torch::full({2}, 3.0f), Tensor(), Tensor()}, {Tensor(), torch::full({2}, 4.0f), Tensor()}};
  EXPECT_DOUBLE_EQ(updater.Reduce(0, parts, 0.5), 2 * (1.5 * 1.5 + 2 * 2));
  updater.Update(0, parts[0], 0.1, 1, 1);
  EXPECT_TRUE(torch::allclose(p.at("a"), torch::full({2}, -0.15f)));
  EXPECT_TRUE(torch::allclose(p.at("b"), torch::full({2}, 0.8f)));
  EXPECT_TRUE(torch::equal(p.at("c"), torch::ones({2})));
}

TEST(Updater, MovingAverageFollowsFasterEarlyOn) {
  TrainOptions o;
  o.optimiser = Optimiser::sgd;
  o.momentum = 0;
  o.ema = 0.25;
  const NamedTensors p = {{"a", torch::zeros({1})}};
  Updater updater(o, p, 2);
  double weight = 0, average = 0;
  for (int64_t step = 1; step <= 8; step++) {
    std::vector<std::vector<Tensor>> parts = {{torch::ones({1})}};
    for (int g = 0; g < 2; g++) updater.Reduce(g, parts, 1);
    for (int g = 0; g < 2; g++) updater.Update(g, parts[0], 1, 0.5, step);
    weight -= 0.5;
    const double decay = std::min(0.25, static_cast<double>(step) / static_cast<double>(step + 10));
    average = decay * average + (1 - decay) * weight;
    EXPECT_NEAR(updater.average().at("a").item<double>(), average, 1e-6);
  }
  EXPECT_EQ(updater.State().size(), 1u);  // the average alone: there is no momentum
}

class Weights : public testing::Test {
 protected:
  std::string Message(const NamedTensors& into) {
    try {
      LoadTensors(folder_ / "w", into);
    } catch (const UserError& e) {
      return e.what();
    }
    return "loaded";
  }
  Folder folder_;
};

TEST_F(Weights, RoundTrip) {
  NamedTensors out = Four();
  out["n"] = torch::arange(5, torch::kLong);
  out["empty"] = torch::zeros({0, 3});
  out["turned"] = torch::randn({4, 3}).t();
  SaveTensors(folder_ / "w", out, {{"step", "7"}});
  EXPECT_EQ(data::Safetensors(folder_ / "w").metadata().at("step"), "7");
  NamedTensors in;
  for (const auto& [name, t] : out) in[name] = torch::zeros_like(t);
  EXPECT_EQ(Message(in), "loaded");
  for (const auto& [name, t] : out) EXPECT_TRUE(torch::equal(t, in.at(name))) << name;
}

TEST_F(Weights, WhatDiffersIsSaidInOneLine) {
  SaveTensors(folder_ / "w", {{"a", torch::ones({2, 3})}, {"b", torch::ones({4})}});
  const std::string part = "[" + (folder_ / "w").string() + "] expected ";
  EXPECT_EQ(Message({{"a", torch::zeros({2, 3})}}), part + "the tensors of this model; found one more: b (4)");
  EXPECT_EQ(Message({{"a", torch::zeros({3, 2})}, {"b", torch::zeros({4})}}),
            part + "a of shape (3, 2) and type F32; found (2, 3) of type F32");
  EXPECT_EQ(Message({{"a", torch::zeros({2, 3})}, {"b", torch::zeros({4}, torch::kLong)}}),
            part + "b of shape (4) and type I64; found (4) of type F32");
  const std::string missing = Message({{"a", torch::zeros({2, 3})}, {"b", torch::zeros({4})}, {"c", torch::zeros({1})}});
  EXPECT_NE(missing.find("c"), std::string::npos);
  EXPECT_EQ(missing.find('\n'), std::string::npos);
  std::string bytes = ReadFile(folder_ / "w", "w");
  bytes[bytes.size() - 2] = static_cast<char>(bytes[bytes.size() - 2] ^ 1);
  WriteFile(folder_ / "w", bytes);
  NamedTensors in = {{"a", torch::zeros({2, 3})}, {"b", torch::zeros({4})}};
  EXPECT_NE(Message(in), "loaded");
  EXPECT_EQ(in.at("b").sum().item<float>(), 0);  // nothing was copied
}

TEST(Slice, PartsHoldEveryRowOnceCutToTheirOwnLength) {
  data::Batch batch;
  batch.examples = {10, 11, 12, 13, 14};
  batch.position = 6;
  batch.target_tokens = 13;
  batch.ids["source"] = {5, 3, {1, 2, 3, 4, 5, 0, 6, 0, 0, 7, 8, 0, 9, 0, 0}, {3, 2, 1, 2, 1}};
  batch.ids["target"] = {5, 4, {1, 2, 0, 0, 3, 4, 5, 6, 7, 0, 0, 0, 8, 9, 1, 0, 2, 0, 0, 0}, {2, 4, 1, 3, 1}};
  data::FloatField links{{5, 4, 3}, {}};
  for (int i = 0; i < 60; i++) links.values.push_back(static_cast<float>(i));
  batch.floats["alignment"] = links;
  std::vector<int64_t> examples;
  for (int64_t k = 0; k < 2; k++) {
    const data::Batch part = Slice(batch, k, 2);
    const auto& target = part.ids.at("target");
    EXPECT_EQ(part.target_tokens, 13);
    EXPECT_EQ(part.position, 6);
    EXPECT_EQ(target.columns, k == 0 ? 2 : 4);
    EXPECT_EQ(part.ids.at("source").columns, k == 0 ? 3 : 2);
    EXPECT_EQ(part.floats.at("alignment").shape, (std::vector<int64_t>{target.rows, target.columns, part.ids.at("source").columns}));
    examples.insert(examples.end(), part.examples.begin(), part.examples.end());
  }
  EXPECT_EQ(examples, (std::vector<int64_t>{10, 12, 14, 11, 13}));
  const data::Batch odd = Slice(batch, 1, 2);
  EXPECT_EQ(odd.ids.at("target").values, (std::vector<int32_t>{3, 4, 5, 6, 8, 9, 1, 0}));
  EXPECT_EQ(odd.ids.at("source").values, (std::vector<int32_t>{4, 5, 7, 8}));
  EXPECT_EQ(odd.ids.at("target").lengths, (std::vector<int32_t>{4, 3}));
  EXPECT_EQ(odd.floats.at("alignment").values, (std::vector<float>{12, 13, 15, 16, 18, 19, 21, 22, 36, 37, 39, 40, 42, 43, 45, 46}));
}

// RFC 3720, appendix B.4.
TEST(Crc32c, KnownVectors) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  std::string rising, falling;
  for (int i = 0; i < 32; i++) rising += static_cast<char>(i);
  for (int i = 31; i >= 0; i--) falling += static_cast<char>(i);
  EXPECT_EQ(Crc32c(rising), 0x46dd794eu);
  EXPECT_EQ(Crc32c(falling), 0x113fdb5cu);
}

TEST(EventFile, IsReadBackAndContinued) {
  Folder folder;
  const Path path = folder / "events";
  uint64_t bytes = 0;
  {
    EventFile file(path);
    file.Scalar("train/loss", 1.5, 3, 1e9);
    bytes = file.Flush();
    file.Scalar("cut", 1, 4, 1e9);
  }
  CutFile(path, bytes);
  {
    EventFile file(path);
    file.Scalar(std::string(300, 'x'), -2, int64_t{1} << 40, 1e9 + 0.25);
    const uint64_t flushed = file.Flush();
    EXPECT_EQ(flushed, std::filesystem::file_size(path));
  }
  const auto read = ReadEvents(path);
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].tag, "train/loss");
  EXPECT_EQ(read[0].value, 1.5f);
  EXPECT_EQ(read[0].step, 3);
  EXPECT_EQ(read[0].wall_time, 1e9);
  EXPECT_EQ(read[1].tag, std::string(300, 'x'));
  EXPECT_EQ(read[1].step, int64_t{1} << 40);
  EXPECT_EQ(read[1].wall_time, 1e9 + 0.25);
}

TEST(EventFile, FailuresAreSystemErrors) {
  Folder folder;
  EXPECT_THROW(EventFile(folder / "no" / "folder"), SystemError);
  EventFile full("/dev/full");
  EXPECT_THROW(
      {
        full.Scalar("a", 1, 1, 1);
        full.Flush();
      },
      SystemError);
}

TEST(Duration, HoursMinutesSeconds) {
  EXPECT_EQ(Duration(-3), "0:00");
  EXPECT_EQ(Duration(0), "0:00");
  EXPECT_EQ(Duration(59.6), "1:00");
  EXPECT_EQ(Duration(245), "4:05");
  EXPECT_EQ(Duration(3723), "1:02:03");
  EXPECT_EQ(Duration(360000), "100:00:00");
}

Standing Example() {
  Standing s;
  s.epoch = 2;
  s.epoch_fraction = 0.25;
  s.step = 100;
  s.loss = 2;
  s.tokens_per_second = 1234.4;
  s.rate = 0.0005;
  s.seconds_left = 245;
  return s;
}

TEST(Progress, PlainLinesToAFile) {
  Progress progress(false);
  testing::internal::CaptureStderr();
  progress.Update(Example());
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  testing::internal::CaptureStderr();
  progress.Log(Example());
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "epoch 2.25  step 100  loss 2.000  ppl 7.4  1234 tok/s  rate 0.0005  4:05 left\n");
  Validation v;
  v.perplexity = 12.346;
  metrics::Metric m;
  m.kind = metrics::MetricKind::bleu;
  m.name = "BLEU";
  m.value = 31.4159;
  v.metrics = {m};
  v.attention_entropy = 0.5;
  v.samples = {{"ein Hund", "a dog", "the dog"}};
  testing::internal::CaptureStderr();
  progress.Validated(Example(), v, true);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "validation at step 100: perplexity 12.35  BLEU 31.42  attention entropy 0.50  (best so far)\n"
            "  source    ein Hund\n  output    a dog\n  reference the dog\n");
}

TEST(Progress, OneLiveLineOnATerminal) {
  Progress progress(true);
  testing::internal::CaptureStderr();
  for (int i = 0; i < 5; i++) progress.Update(Example());  // at most ten times a second
  progress.Note("note");
  const std::string out = testing::internal::GetCapturedStderr();
  const std::string live = "\r\033[Kepoch 2.25  step 100  loss 2.000  ppl 7.4  1234 tok/s  rate 0.0005  4:05 left";
  EXPECT_EQ(out, live + "\r\033[Knote\n");
}

TEST(StopRequest, AsksOnceAndLeavesTheHandlersAsTheyWere) {
  struct sigaction before {
  }, after{};
  sigaction(SIGTERM, nullptr, &before);
  {
    const StopRequest stop;
    EXPECT_EQ(StopRequest::signal(), 0);
    std::raise(SIGINT);
    EXPECT_EQ(StopRequest::signal(), SIGINT);
  }
  {
    const StopRequest again;
    EXPECT_EQ(StopRequest::signal(), 0);
  }
  sigaction(SIGTERM, nullptr, &after);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
}

TEST(StopRequestDeathTest, ASecondSignalEndsAtOnce) {
  EXPECT_EXIT(
      {
        const StopRequest stop;
        std::raise(SIGTERM);
        std::raise(SIGTERM);
      },
      testing::ExitedWithCode(128 + SIGTERM), "");
}

}  // namespace
}  // namespace attend::train
