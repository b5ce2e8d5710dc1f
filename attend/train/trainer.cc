#include "attend/train/trainer.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "attend/train/events.h"
#include "attend/train/memory.h"
#include "attend/train/optimiser.h"
#include "attend/train/schedule.h"
#include "attend/train/stop.h"

namespace attend::train {
namespace {

using Json = nlohmann::json;
using at::Tensor;

double WallTime() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

// What a run carries besides tensors. Everything here is in the training state.
struct RunState {
  int64_t step = 0;
  data::Position position;
  double seconds = 0;  // used so far
  double best = 0;
  bool has_best = false;
  int64_t waited = 0;      // validations without improvement
  int64_t validated = -1;  // step of the last validation
  PlateauState plateau;
  double first_loss = 0, recent_loss = 0;  // for the check of divergence
  std::optional<double> baseline;          // moving average of the loss a token, for REINFORCE; none before the first update
  std::string events;                      // name of the event file
  uint64_t log_bytes = 0, event_bytes = 0;
  int64_t averaged = 0;  // snapshots in the state
};

Json ToJson(const RunState& s) {
  return {{"step", s.step},
          {"seconds", s.seconds},
          {"best", s.best},
          {"has_best", s.has_best},
          {"waited", s.waited},
          {"validated", s.validated},
          {"plateau", {{"factor", s.plateau.factor}, {"waited", s.plateau.waited}}},
          {"position",
           {{"epoch", s.position.epoch},
            {"window", s.position.window},
            {"batch", s.position.batch},
            {"batches", s.position.batches},
            {"examples", s.position.examples},
            {"skipped", s.position.skipped}}},
          {"loss", {{"first", s.first_loss}, {"recent", s.recent_loss}}},
          {"baseline", s.baseline ? Json(*s.baseline) : Json()},
          {"events", s.events},
          {"log_bytes", s.log_bytes},
          {"event_bytes", s.event_bytes},
          {"averaged", s.averaged}};
}

RunState FromJson(const Json& j) {
  RunState s;
  j.at("step").get_to(s.step);
  j.at("seconds").get_to(s.seconds);
  j.at("best").get_to(s.best);
  j.at("has_best").get_to(s.has_best);
  j.at("waited").get_to(s.waited);
  j.at("validated").get_to(s.validated);
  j.at("plateau").at("factor").get_to(s.plateau.factor);
  // A run that was begun before there was one goes on without.
  if (const auto baseline = j.find("baseline"); baseline != j.end() && !baseline->is_null()) s.baseline = baseline->get<double>();
  j.at("plateau").at("waited").get_to(s.plateau.waited);
  const Json& p = j.at("position");
  p.at("epoch").get_to(s.position.epoch);
  p.at("window").get_to(s.position.window);
  p.at("batch").get_to(s.position.batch);
  p.at("batches").get_to(s.position.batches);
  p.at("examples").get_to(s.position.examples);
  p.at("skipped").get_to(s.position.skipped);
  j.at("loss").at("first").get_to(s.first_loss);
  j.at("loss").at("recent").get_to(s.recent_loss);
  j.at("events").get_to(s.events);
  j.at("log_bytes").get_to(s.log_bytes);
  j.at("event_bytes").get_to(s.event_bytes);
  j.at("averaged").get_to(s.averaged);
  return s;
}

NamedTensors Clone(const NamedTensors& tensors) {
  NamedTensors out;
  for (const auto& [name, t] : tensors) out[name] = t.detach().clone();
  return out;
}

void CopyInto(const NamedTensors& from, const NamedTensors& to) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, t] : to) t.detach().copy_(from.at(name));
}

// One run of training. The order of things within a step is fixed, so that a resumed run repeats it.
class Run {
 public:
  Run(Trainable& task, const TrainOptions& options, const data::ModelDirectory& directory, const OpenStream& open, models::Workers& workers,
      Progress& progress, double started)
      : task_(task),
        options_(options),
        directory_(directory),
        workers_(workers),
        progress_(progress),
        parameters_(Parameters(task.module())),
        updater_(options, parameters_, workers.count()),
        begun_(Seconds() - started) {
    Resume();
    stream_ = open(state_.position);
    log_.open(directory.log(), std::ios::app | std::ios::ate);  // tellp is asked before anything is written
    events_ = std::make_unique<EventFile>(directory.root() / state_.events);
    if (!Limit().empty()) return;
    first_ = stream_->Next();
    progress_.Note("training takes about " + std::to_string(EstimateMemory(task, options, *first_, workers.count()) >> 20) +
                   " MiB of memory");
  }

  RunResult Go() {
    const StopRequest stop;
    window_start_ = Seconds();
    std::string reason;
    while ((reason = Limit()).empty()) {
      Step();
      if (ValidationDue()) {
        Validate();
        Save();
      }
      // At the last step the run ends as it would have: a state without its validation would be taken for a finished one.
      if (StopRequest::signal() && Limit().empty()) {
        if (saved_ != state_.step) Save();
        return {Ending::interrupted, StopRequest::signal() == SIGINT ? "Ctrl-C" : "SIGTERM", state_.step, state_.best};
      }
    }
    if (state_.validated != state_.step) {
      Validate();
      Save();
    }
    directory_.MarkFinished();
    return {Ending::finished, reason, state_.step, state_.best};
  }

 private:
  double Used() const { return Seconds() - begun_; }

  // The largest used fraction of the given limits.
  double Progressed() const {
    double fraction = Epochs() / static_cast<double>(options_.epochs);
    if (options_.steps) fraction = std::max(fraction, static_cast<double>(state_.step) / static_cast<double>(*options_.steps));
    if (options_.minutes) fraction = std::max(fraction, Used() / (60 * *options_.minutes));
    return fraction;
  }

  double Epochs() const {
    return static_cast<double>(state_.position.epoch) +
           static_cast<double>(state_.position.examples) / static_cast<double>(std::max<int64_t>(1, stream_->examples()));
  }

  std::string Limit() const {
    if (state_.position.epoch >= options_.epochs) return std::to_string(options_.epochs) + " epochs";
    if (options_.steps && state_.step >= *options_.steps) return std::to_string(*options_.steps) + " steps";
    if (options_.patience > 0 && state_.waited >= options_.patience)
      return "no improvement in " + std::to_string(options_.patience) + " validations";
    // The last validation belongs to the run: it must end within the limit. It may take longer than those before, and an update is under
    // way when the time comes: a fifth more.
    if (options_.minutes && Used() + 1.2 * validation_seconds_ >= 60 * *options_.minutes) return "the minutes given";
    return "";
  }

  bool ValidationDue() const {
    if (options_.validate_steps > 0) return state_.step % options_.validate_steps == 0;
    return epoch_ended_;
  }

  // Loss and gradients of one batch, sliced among the workers.
  void Accumulate(const data::Batch& batch, std::vector<std::vector<Tensor>>& gradients) {
    const auto rows = static_cast<int64_t>(batch.examples.size());
    const int64_t parts = std::clamp<int64_t>(workers_.count(), 1, rows);
    std::vector<models::LossSum> losses(static_cast<size_t>(parts));
    const size_t first = gradients.size();
    gradients.resize(first + static_cast<size_t>(parts));
    workers_.Run(
        parts,
        [&](int64_t k) {
          const data::Batch slice = Slice(batch, k, parts);
          nn::Context context;
          context.training = true;
          context.seed = static_cast<uint64_t>(options_.seed);
          context.step = static_cast<uint64_t>(batch.position);
          context.examples = slice.examples;
          context.baseline = state_.baseline;
          context.recompute = options_.gradient_checkpointing;
          losses[static_cast<size_t>(k)] = task_.Loss(slice, context);
          std::vector<Tensor> inputs(updater_.parameters());
          gradients[first + static_cast<size_t>(k)] =
              torch::autograd::grad({losses[static_cast<size_t>(k)].total}, inputs, {}, std::nullopt, false, true);
        },
        /*shared=*/true);
    for (const models::LossSum& loss : losses) {
      batch_nll_ += loss.nll;
      batch_loss_ += loss.loss;
      batch_tokens_ += loss.tokens;
    }
  }

  void Step() {
    std::vector<std::vector<Tensor>> gradients;
    batch_nll_ = batch_loss_ = 0;
    batch_tokens_ = 0;
    const int64_t epoch = state_.position.epoch;
    for (int64_t i = 0; i < options_.accumulate; i++) {
      Accumulate(first_ ? *std::exchange(first_, std::nullopt) : stream_->Next(), gradients);
      state_.position = stream_->position();
    }
    epoch_ended_ = state_.position.epoch != epoch;
    const double rate = Rate(options_, state_.step, Progressed(), state_.plateau);
    const int groups = updater_.groups();
    std::vector<double> squares(static_cast<size_t>(groups));
    workers_.Run(groups, [&](int64_t g) {
      squares[static_cast<size_t>(g)] = updater_.Reduce(static_cast<int>(g), gradients, 1.0 / static_cast<double>(batch_tokens_));
    });
    double norm = 0;
    for (double s : squares) norm += s;
    norm = std::sqrt(norm);
    CheckDivergence(batch_nll_ / static_cast<double>(batch_tokens_), norm, rate);
    const double factor = options_.clip > 0 && norm > options_.clip ? options_.clip / norm : 1;
    workers_.Run(groups, [&](int64_t g) { updater_.Update(static_cast<int>(g), gradients[0], factor, rate, state_.step + 1); });
    state_.step++;
    const double loss = batch_loss_ / static_cast<double>(batch_tokens_);
    state_.baseline = state_.baseline ? options_.baseline * *state_.baseline + (1 - options_.baseline) * loss : loss;
    Report(rate, norm);
  }

  void CheckDivergence(double loss, double norm, double rate) {
    const auto fail = [&](const std::string& found) {
      throw UserError("train", "a loss that stays finite and falls",
                      found + " at step " + std::to_string(state_.step + 1) + " with learning rate " + Json(rate).dump() + "; " +
                          (saved_ < 0 ? "nothing was saved yet" : "the state of step " + std::to_string(saved_) + " is kept") +
                          ": lower train.learning_rate or train.clip");
    };
    if (!std::isfinite(loss) || !std::isfinite(norm))
      fail("a loss of " + std::to_string(loss) + " and a gradient of norm " + std::to_string(norm));
    if (state_.step == 0) state_.first_loss = loss;  // before any update: the next ones may already be those of a diverging run
    state_.recent_loss = state_.step == 0 ? loss : 0.98 * state_.recent_loss + 0.02 * loss;
    if (state_.step >= 200 && state_.recent_loss > 1.5 * state_.first_loss + 1)
      fail("a mean loss of " + std::to_string(state_.recent_loss) + ", above that of the beginning (" + std::to_string(state_.first_loss) +
           "),");
  }

  Standing Stand(double rate) const {
    Standing s;
    s.epoch = state_.position.epoch;
    s.epoch_fraction = Epochs() - static_cast<double>(state_.position.epoch);
    s.step = state_.step;
    s.loss = window_tokens_ ? window_nll_ / static_cast<double>(window_tokens_) : 0;
    const double elapsed = Seconds() - window_start_;
    s.tokens_per_second = elapsed > 0 ? static_cast<double>(window_tokens_) / elapsed : 0;
    s.rate = rate;
    const double done = Progressed();
    if (done > 0.002) s.seconds_left = Used() * (1 - done) / done;
    return s;
  }

  void Report(double rate, double norm) {
    window_nll_ += batch_nll_;
    window_tokens_ += batch_tokens_;
    rate_ = rate;
    const Standing standing = Stand(rate);
    progress_.Update(standing);
    if (state_.step % options_.log_steps != 0) return;
    progress_.Log(standing);
    WriteLog({{"event", "train"},
              {"step", state_.step},
              {"epoch", Epochs()},
              {"loss", standing.loss},
              {"perplexity", std::exp(standing.loss)},
              {"learning_rate", rate},
              {"gradient_norm", norm},
              {"tokens_per_second", standing.tokens_per_second},
              {"seconds", Used()}});
    Scalar("train/loss", standing.loss);
    Scalar("train/learning_rate", rate);
    Scalar("train/gradient_norm", norm);
    Scalar("train/tokens_per_second", standing.tokens_per_second);
    ResetWindow();
  }

  void ResetWindow() {
    window_nll_ = 0;
    window_tokens_ = 0;
    window_start_ = Seconds();
  }

  void WriteLog(const Json& line) {
    log_ << line.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
    log_.flush();
    if (!log_) throw SystemError("[train] expected to write " + directory_.log().string() + "; found a full disk or an unwritable file");
  }
  void Scalar(const char* tag, double value) { events_->Scalar(tag, value, state_.step, WallTime()); }

  // The moving average when there is one, else the present weights.
  const NamedTensors& Present() const { return options_.ema > 0 && options_.average == 0 ? updater_.average() : parameters_; }

  // The weights that are judged and kept: Present, or the mean of the last snapshots.
  NamedTensors Candidate() {
    if (options_.average == 0) return Present();
    snapshots_.push_back(Clone(parameters_));
    if (static_cast<int64_t>(snapshots_.size()) > options_.average) snapshots_.pop_front();
    NamedTensors mean = Clone(snapshots_[0]);
    for (auto& [name, t] : mean) {
      for (size_t i = 1; i < snapshots_.size(); i++) t.add_(snapshots_[i].at(name));
      t.div_(static_cast<double>(snapshots_.size()));
    }
    return mean;
  }

  void Validate() {
    const double begin = Seconds();
    const Standing standing = Stand(rate_);
    const NamedTensors candidate = Clone(Candidate()), present = Clone(parameters_);
    CopyInto(candidate, parameters_);
    Validation v = task_.Validate(workers_, options_.samples);
    CopyInto(present, parameters_);
    const bool higher = metrics::HigherIsBetter(options_.metric);
    const bool improved = std::isfinite(v.selected) && (!state_.has_best || (higher ? v.selected > state_.best : v.selected < state_.best));
    if (improved) {
      state_.best = v.selected;
      state_.has_best = true;
      best_ = candidate;
    }
    state_.waited = improved ? 0 : state_.waited + 1;
    Observe(options_, improved, state_.plateau);
    state_.validated = state_.step;
    progress_.Validated(standing, v, improved);
    Json line = {{"event", "validation"},      {"step", state_.step}, {"epoch", Epochs()},
                 {"perplexity", v.perplexity}, {"best", improved},    {"seconds", Used()}};
    Scalar("valid/perplexity", v.perplexity);
    for (const metrics::Metric& m : v.metrics) {
      line["metrics"][std::string(Name(m.kind))] = {{"value", m.value}, {"signature", m.signature}};
      Scalar(("valid/" + std::string(Name(m.kind))).c_str(), m.value);
    }
    if (v.attention_entropy >= 0) {
      line["attention_entropy"] = v.attention_entropy;
      Scalar("valid/attention_entropy", v.attention_entropy);
    }
    for (const Sample& s : v.samples) line["samples"].push_back({{"source", s.source}, {"output", s.output}, {"reference", s.reference}});
    WriteLog(line);
    validation_seconds_ = std::max(validation_seconds_, Seconds() - begin);
    ResetWindow();
  }

  void Save() {
    state_.seconds = Used();
    state_.averaged = static_cast<int64_t>(snapshots_.size());
    log_.flush();
    state_.log_bytes = static_cast<uint64_t>(log_.tellp());
    state_.event_bytes = events_->Flush();
    directory_.SaveState(state_.step, [&](const Path& folder) {
      SaveTensors(folder / "weights.safetensors", parameters_);
      SaveTensors(folder / "optimiser.safetensors", updater_.State());
      if (const NamedTensors state = task_.State(); !state.empty()) SaveTensors(folder / "task.safetensors", state);
      for (size_t i = 0; i < snapshots_.size(); i++)
        SaveTensors(folder / ("snapshot." + std::to_string(i) + ".safetensors"), snapshots_[i]);
      data::Metadata metadata = task_.ModelMetadata();
      metadata["step"] = std::to_string(state_.step);
      SaveTensors(folder / "model.safetensors", state_.has_best ? best_ : Present(), metadata);
      WriteFile(folder / "state.json", ToJson(state_).dump(1));
    });
    saved_ = state_.step;
  }

  void Resume() {
    const std::optional<int64_t> step = directory_.Recover();
    if (!step) {
      // A run that was killed before it saved anything begins anew, and so do its logs.
      CutFile(directory_.log(), 0);
      for (const auto& entry : std::filesystem::directory_iterator(directory_.root()))
        if (entry.path().filename().string().starts_with("events.")) std::filesystem::remove(entry.path());
      state_.events = "events.out.tfevents." + std::to_string(static_cast<int64_t>(WallTime())) + ".attend";
      return;
    }
    const Path folder = directory_.StateFolder(*step);
    try {
      state_ = FromJson(Json::parse(ReadFile(folder / "state.json", "training state")));
    } catch (const Json::exception& e) {
      throw UserError((folder / "state.json").string(), "a training state", e.what());
    }
    if (!state_.events.starts_with("events.") || Path(state_.events).has_parent_path())
      throw UserError((folder / "state.json").string(), "the name of an event file beside it", state_.events);
    LoadTensors(folder / "weights.safetensors", parameters_);
    LoadTensors(folder / "optimiser.safetensors", updater_.State());
    if (const NamedTensors state = task_.State(); !state.empty()) LoadTensors(folder / "task.safetensors", state);
    for (int64_t i = 0; i < state_.averaged; i++) {
      snapshots_.push_back(Clone(parameters_));
      LoadTensors(folder / ("snapshot." + std::to_string(i) + ".safetensors"), snapshots_.back());
    }
    if (state_.has_best) {
      best_ = Clone(parameters_);
      LoadTensors(folder / "model.safetensors", best_);
    }
    CutFile(directory_.log(), state_.log_bytes);
    CutFile(directory_.root() / state_.events, state_.event_bytes);
    begun_ = std::min(begun_, Seconds() - state_.seconds);
    saved_ = *step;
    progress_.Note("resuming at step " + std::to_string(*step));
  }

  Trainable& task_;
  TrainOptions options_;
  data::ModelDirectory directory_;
  models::Workers& workers_;
  Progress& progress_;
  NamedTensors parameters_;
  Updater updater_;
  std::unique_ptr<data::PrefetchedStream> stream_;
  std::optional<data::Batch> first_;  // taken before the first update, to see how much memory it takes
  std::ofstream log_;
  std::unique_ptr<EventFile> events_;
  RunState state_;
  NamedTensors best_;
  std::deque<NamedTensors> snapshots_;
  double begun_;
  int64_t saved_ = -1;  // step of the last state
  bool epoch_ended_ = false;
  double validation_seconds_ = 0, rate_ = 0;
  double batch_nll_ = 0, batch_loss_ = 0, window_nll_ = 0, window_start_ = 0;
  int64_t batch_tokens_ = 0, window_tokens_ = 0;
};

}  // namespace

RunResult Train(Trainable& task, const TrainOptions& options, const data::ModelDirectory& directory, const OpenStream& open,
                models::Workers& workers, Progress& progress, double started) {
  return Run(task, options, directory, open, workers, progress, started).Go();
}

}  // namespace attend::train
