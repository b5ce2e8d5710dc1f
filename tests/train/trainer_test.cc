#include "attend/train/trainer.h"

#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <fstream>
#include <map>
#include <thread>

#include "tests/train/events_reader.h"
#include "tests/train/toy.h"

namespace attend::train {
namespace {

using Json = nlohmann::json;

std::vector<Json> Log(const Path& out) {
  std::ifstream file(out / "log.jsonl");
  std::vector<Json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(Json::parse(line));
  return lines;
}

// What must not depend on interruptions: of the log all but times, of the state all but times and file sizes.
std::vector<Json> Timeless(std::vector<Json> lines) {
  for (Json& line : lines)
    for (const char* key : {"seconds", "tokens_per_second"}) line.erase(key);
  return lines;
}

Json State(const Path& out, int64_t step) {
  Json j = Json::parse(ReadFile(data::ModelDirectory(out).StateFolder(step) / "state.json", "state"));
  for (const char* key : {"seconds", "events", "log_bytes", "event_bytes"}) j.erase(key);
  return j;
}

std::map<std::string, std::string> Tensors(const Path& file) {
  const data::Safetensors all(file);
  all.Verify();
  std::map<std::string, std::string> out;
  for (const auto& [name, t] : all.tensors()) out[name] = std::string(t.bytes);
  return out;
}

void ExpectSameRun(const Path& a, const Path& b, int64_t step) {
  const auto fa = data::ModelDirectory(a).StateFolder(step), fb = data::ModelDirectory(b).StateFolder(step);
  for (const auto& entry : std::filesystem::directory_iterator(fa)) {
    const Path name = entry.path().filename();
    if (name.extension() != ".safetensors") continue;
    EXPECT_EQ(Tensors(fa / name), Tensors(fb / name)) << name;
  }
  EXPECT_EQ(Tensors(a / "model.safetensors"), Tensors(b / "model.safetensors"));
  EXPECT_EQ(State(a, step), State(b, step));
  const auto la = Timeless(Log(a)), lb = Timeless(Log(b));
  ASSERT_EQ(la.size(), lb.size());
  // The loss of a line is that since the last one: a resumed run's first line may have lost batches before it, with log_steps 1 none.
  for (size_t i = 0; i < la.size(); i++) EXPECT_EQ(la[i], lb[i]) << i;
  EXPECT_EQ(Scalars(a), Scalars(b));
}

struct Variant {
  const char* name;
  std::function<void(Settings&)> set;
};

std::vector<Variant> Variants() {
  return {
      {"adamw, moving average, linear", [](Settings&) {}},
      {"sgd, plateau, no average",
       [](Settings& s) {
         s.train.optimiser = Optimiser::sgd;
         s.train.schedule = Schedule::plateau;
         s.train.plateau_patience = 1;
         s.train.validate_steps = 2;
         s.train.ema = 0;
       }},
      {"adam, mean of snapshots, accumulation, cosine",
       [](Settings& s) {
         s.train.optimiser = Optimiser::adam;
         s.train.average = 2;
         s.train.accumulate = 2;
         s.train.schedule = Schedule::cosine;
         s.train.validate_steps = 3;
       }},
      {"epochs limit and validate, inverse square root",
       [](Settings& s) {
         s.train.steps.reset();
         s.train.epochs = 2;
         s.train.validate_steps = 0;
         s.train.schedule = Schedule::inverse_sqrt;
       }},
  };
}

TEST(Train, InterruptedAnywhereEqualsUninterrupted) {
  Folder text;
  const data::Corpus corpus = Letters(text, 40);
  for (const Variant& variant : Variants())
    for (int workers : {1, 2}) {
      SCOPED_TRACE(std::string(variant.name) + " on " + std::to_string(workers));
      Settings setup;
      setup.workers = workers;
      variant.set(setup);
      Folder whole;
      Toy straight;
      const RunResult expected = Go(straight, setup, corpus, whole);
      ASSERT_EQ(expected.ending, Ending::finished);
      ASSERT_GE(expected.step, 10);
      // Once at each step, then at every step of one run.
      for (int64_t at = -1; at < expected.step; at++) {
        if (at > 0 && at % 3 != workers && at + 1 != expected.step) continue;
        SCOPED_TRACE("stopped at " + std::to_string(at));
        Folder out;
        RunResult result;
        int64_t runs = 0;
        do {
          ASSERT_LE(runs, 2 * expected.step);
          Toy task;  // a new process knows nothing
          if (at < 0) StopAt(task, runs * setup.train.accumulate);
          if (at >= 0 && runs == 0) StopAt(task, at * setup.train.accumulate);
          result = Go(task, setup, corpus, out);
          runs++;
        } while (result.ending == Ending::interrupted);
        EXPECT_EQ(runs, at < 0 ? expected.step : at + 1 < expected.step ? 2 : 1);
        EXPECT_EQ(result.step, expected.step);
        EXPECT_EQ(result.best, expected.best);
        ExpectSameRun(whole, out, expected.step);
      }
    }
}

TEST(Train, SameSeedSameBits) {
  Folder text, a, b, c;
  const data::Corpus corpus = Letters(text, 40);
  Settings setup;
  Toy first, second, third;
  Go(first, setup, corpus, a);
  Go(second, setup, corpus, b);
  ExpectSameRun(a, b, 12);
  setup.train.seed = 2;
  Go(third, setup, corpus, c);
  EXPECT_NE(Tensors(a / "model.safetensors"), Tensors(c / "model.safetensors"));
}

// Slicing among workers changes rounding alone.
TEST(Train, WorkersDoNotMatter) {
  Folder text, a, b;
  const data::Corpus corpus = Letters(text, 40);
  Settings setup;
  setup.train.optimiser = Optimiser::sgd;
  setup.train.steps = 6;
  Toy one, three;
  setup.workers = 1;
  Go(one, setup, corpus, a);
  setup.workers = 3;
  Go(three, setup, corpus, b);
  const auto x = one.Snapshot(), y = three.Snapshot();
  for (const auto& [name, t] : x) EXPECT_LE((t - y.at(name)).abs().max().item<double>(), 1e-5) << name;
}

TEST(Train, AccumulatedBatchesEqualOneLargeOne) {
  Folder text, a, b;
  const data::Corpus corpus = Letters(text, 24, 5);
  Settings setup;
  setup.train.optimiser = Optimiser::sgd;
  setup.train.momentum = 0;
  setup.train.ema = 0;
  setup.train.learning_rate = 1;
  setup.train.clip = 0;
  setup.train.warmup = 0;
  setup.train.schedule = Schedule::constant;
  setup.train.steps = 1;
  setup.stream.shuffle = false;
  setup.stream.window = 24;
  Toy large(TinyModel(0)), small(TinyModel(0));
  std::atomic<int64_t> rows = 0;
  const auto count = [&](int64_t step, const data::Batch& batch) {
    if (step >= 0) rows += static_cast<int64_t>(batch.examples.size());  // an estimate of memory is no update
  };
  large.before_loss = small.before_loss = count;
  setup.train.batch_sentences = 24;
  Go(large, setup, corpus, a);
  EXPECT_EQ(rows, 24);
  setup.train.batch_sentences = 8;
  setup.train.accumulate = 3;
  Go(small, setup, corpus, b);
  EXPECT_EQ(rows, 48);
  const auto x = large.Snapshot(), y = small.Snapshot(), before = Toy(TinyModel(0)).Snapshot();
  for (const auto& [name, t] : x) EXPECT_LE((t - y.at(name)).abs().max().item<double>(), 1e-6) << name;
  EXPECT_GT((x.at("decoder.embedding.weight") - before.at("decoder.embedding.weight")).abs().max().item<double>(), 1e-3);
}

TEST(Train, NotANumberStopsWithStepAndRateAndKeepsTheState) {
  Folder text, out, whole;
  const data::Corpus corpus = Letters(text, 40);
  const Settings setup;
  const auto fails = [&](int64_t step, const Path& folder) {
    Toy task;
    task.poison = step;
    try {
      Go(task, setup, corpus, folder);
    } catch (const UserError& e) {
      return std::string(e.what());
    }
    return std::string("trained");
  };
  Folder early;
  EXPECT_EQ(fails(1, early).rfind("[train] expected a loss that stays finite and falls; found a loss of ", 0), 0u);
  const std::string message = fails(8, out);
  EXPECT_NE(message.find(" at step 9 with learning rate 0.00"), std::string::npos) << message;
  EXPECT_NE(message.find("the state of step 5 is kept"), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_NE(fails(2, early).find("nothing was saved yet"), std::string::npos);
  // What was saved goes on as if nothing had happened.
  Toy task, straight;
  EXPECT_EQ(Go(task, setup, corpus, out).ending, Ending::finished);
  Go(straight, setup, corpus, whole);
  ExpectSameRun(whole, out, 12);
  // So does a run that had saved nothing: its logs begin anew.
  Toy again;
  Go(again, setup, corpus, early);
  ExpectSameRun(whole, early, 12);
}

TEST(Train, DivergenceStops) {
  Folder text;
  const data::Corpus corpus = Letters(text, 40);
  Settings setup;
  setup.train.optimiser = Optimiser::sgd;
  setup.train.steps = 400;
  setup.train.clip = 0;
  setup.train.ema = 0;
  setup.train.validate_steps = 0;
  setup.train.patience = 0;
  // Also where the loss is out of bounds within the first updates and comes down a little since.
  for (double rate : {3.0, 10.0, 1000.0})
    for (int seed : {0, 1, 2}) {
      setup.train.learning_rate = rate;
      setup.train.seed = seed;
      Folder out;
      Toy task(TinyModel(0));
      EXPECT_THROW(Go(task, setup, corpus, out), UserError) << rate << " " << seed;
    }
}

TEST(Train, LimitsAndPatience) {
  Folder text;
  const data::Corpus corpus = Letters(text, 40);
  Settings setup;
  setup.train.validate_steps = 2;
  setup.train.patience = 3;
  setup.train.steps = 100;
  {
    Folder out;
    Toy task;
    task.judge = [](int64_t n) { return n == 2 ? 1.0 : 5.0; };  // lower is better
    const RunResult result = Go(task, setup, corpus, out);
    EXPECT_EQ(result.reason, "no improvement in 3 validations");
    EXPECT_EQ(result.step, 10);
    EXPECT_EQ(result.best, 1);
    // What is published are the weights of the best validation: the moving average's at step 4.
    Toy loaded;
    LoadTensors(out / "model.safetensors", Parameters(loaded.module()));
    for (const auto& [name, t] : loaded.Snapshot()) EXPECT_TRUE(torch::equal(t, task.seen[1].at(name))) << name;
    EXPECT_EQ(data::ModelDirectory(out).State(), data::DirectoryState::foreign);  // no config.yaml: that is the task's
    EXPECT_TRUE(std::filesystem::exists(Path(out) / "training" / "finished"));
  }
  {
    Folder out;
    Toy task;
    task.judge = [](int64_t n) { return n == 1 ? std::nan("") : 7.0 - static_cast<double>(n); };
    setup.train.steps = 6;
    const RunResult result = Go(task, setup, corpus, out);
    EXPECT_EQ(result.reason, "6 steps");
    EXPECT_EQ(result.best, 4);
  }
  {
    Folder out;
    Toy task;
    setup.train.minutes = 0.02;
    setup.train.steps.reset();
    setup.train.patience = 0;
    EXPECT_EQ(Go(task, setup, corpus, out).reason, "the minutes given");
  }
}

// The last validation ends within the minutes given, though it takes longer than the one before and an update was under way.
TEST(Train, TheLastValidationIsWithinTheMinutes) {
  Folder text, out;
  const data::Corpus corpus = Letters(text, 40);
  const auto pause = [](double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); };
  Settings setup;
  setup.train.steps.reset();
  setup.train.validate_steps = 20;
  setup.train.minutes = 0.04;
  Toy task;
  task.before_loss = [&](int64_t step, const data::Batch&) {
    if (step >= 20) pause(0.04);
  };
  task.judge = [&](int64_t n) {
    pause(n == 1 ? 0.8 : 0.82);
    return 1.0 / static_cast<double>(n);
  };
  const RunResult result = Go(task, setup, corpus, out);
  EXPECT_EQ(result.reason, "the minutes given");
  double last = 0;
  for (const Json& line : Log(out))
    if (line["event"] == "validation") last = line["seconds"].get<double>();
  EXPECT_LE(last, 2.4);
}

// With `average`, what is validated is the mean of the weights at the last validations.
TEST(Train, SnapshotsAreAveraged) {
  Folder text, out;
  const data::Corpus corpus = Letters(text, 40);
  Settings setup;
  setup.train.steps = 6;
  setup.train.validate_steps = 2;
  setup.train.average = 2;
  Toy task;
  std::map<int64_t, NamedTensors> before;  // update -> weights before it
  std::atomic<int64_t> last = -1;
  task.before_loss = [&](int64_t step, const data::Batch&) {
    int64_t expected = step - 1;
    if (last.compare_exchange_strong(expected, step)) before[step] = task.Snapshot();
  };
  Go(task, setup, corpus, out);
  ASSERT_EQ(task.seen.size(), 3u);
  for (const auto& [name, t] : before.at(2)) {
    EXPECT_TRUE(torch::equal(task.seen[0].at(name), t)) << name;
    EXPECT_LE((task.seen[1].at(name) - (t + before.at(4).at(name)) / 2).abs().max().item<double>(), 1e-6) << name;
    EXPECT_LE((task.seen[2].at(name) - (before.at(4).at(name) + task.Snapshot().at(name)) / 2).abs().max().item<double>(), 1e-6) << name;
  }
}

TEST(Train, AStateThatDoesNotFitIsRefusedInOneLine) {
  Folder text, out;
  const data::Corpus corpus = Letters(text, 40);
  Settings setup;
  {
    Toy task;
    StopAt(task, 3);
    EXPECT_EQ(Go(task, setup, corpus, out).ending, Ending::interrupted);
  }
  const Path folder = data::ModelDirectory(out).StateFolder(4);
  const auto message = [&] {
    Toy task;
    try {
      Go(task, setup, corpus, out);
    } catch (const UserError& e) {
      return std::string(e.what());
    }
    return std::string("trained");
  };
  const std::string state = ReadFile(folder / "state.json", "state");
  for (const std::string& bad :
       {std::string("{"), std::string("[]"), std::string("{\"step\": \"four\"}"), state.substr(0, state.size() / 2)}) {
    WriteFile(folder / "state.json", bad);
    const std::string found = message();
    EXPECT_NE(found.find("state.json] expected a training state; found "), std::string::npos) << found;
    EXPECT_EQ(found.find('\n'), std::string::npos) << found;
  }
  WriteFile(folder / "state.json", state);
  const std::string weights = ReadFile(folder / "weights.safetensors", "weights");
  WriteFile(folder / "weights.safetensors", weights.substr(0, weights.size() - 1));
  EXPECT_NE(message().find("weights.safetensors"), std::string::npos);
}

}  // namespace
}  // namespace attend::train
