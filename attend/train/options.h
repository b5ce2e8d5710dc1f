#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "attend/base/enum.h"
#include "attend/metrics/metric.h"

namespace attend::train {

enum class Optimiser { adam, adamw, sgd };
inline std::span<const Choice> Choices(Optimiser) {
  static constexpr Choice kChoices[] = {
      {"adam", 0, "Kingma and Ba 2015; weight decay as an L2 penalty"},
      {"adamw", 1, "Adam with decoupled weight decay (Loshchilov and Hutter 2019)"},
      {"sgd", 2, "stochastic gradient descent with momentum"},
  };
  return kChoices;
}

enum class Schedule { constant, inverse_sqrt, cosine, linear, plateau };
inline std::span<const Choice> Choices(Schedule) {
  static constexpr Choice kChoices[] = {
      {"constant", 0, "the same rate after warm-up"},
      {"inverse_sqrt", 1, "falls with the inverse square root of the step after warm-up (Vaswani et al. 2017)"},
      {"cosine", 2, "a half cosine over the run, down to the final rate (Loshchilov and Hutter 2017)"},
      {"linear", 3, "constant for the first part of the run, then a straight line down to the final rate"},
      {"plateau", 4, "multiplied by plateau_factor when the metric has not improved for plateau_patience validations"},
  };
  return kChoices;
}

enum class Precision { fp32, bf16, automatic };
inline std::span<const Choice> Choices(Precision) {
  static constexpr Choice kChoices[] = {
      {"fp32", 0, "exact single precision"},
      {"bf16", 1, "matrix products of linear layers round to bfloat16 and sum in single precision; weights and everything else stay fp32"},
      {"auto", 2, "bf16 where the CPU has instructions for it, else fp32"},
  };
  return kChoices;
}

// How a model is trained.
struct TrainOptions {
  int64_t epochs = 30;
  std::optional<int64_t> steps;
  std::optional<double> minutes;
  int64_t batch_tokens = 750;
  int64_t batch_sentences = 0;
  int64_t accumulate = 1;
  Optimiser optimiser = Optimiser::adamw;
  double learning_rate = 0.002;
  double beta1 = 0.9, beta2 = 0.98, epsilon = 1e-8;
  double momentum = 0.9;
  double weight_decay = 0;
  Schedule schedule = Schedule::linear;
  int64_t warmup = 200;
  double hold = 0.3;
  double final_rate = 0.02;
  double plateau_factor = 0.5;
  int64_t plateau_patience = 2;
  double clip = 1;
  double label_smoothing = 0.1;
  double guided_alignment = 0;
  double coverage_loss = 0;
  double baseline = 0.9;
  double ema = 0.999;
  int64_t average = 0;
  Precision precision = Precision::automatic;
  bool gradient_checkpointing = false;
  int64_t validate_steps = 0;
  metrics::MetricKind metric = metrics::MetricKind::bleu;
  int64_t patience = 10;
  int64_t samples = 3;
  int64_t log_steps = 50;
  std::string init;
  int64_t seed = 1;

  template <class F>
  static void Declare(F& field) {
    field("epochs", &TrainOptions::epochs,
          "passes over the training text; training ends at whichever of epochs, steps and minutes comes first")
        .Range(1, 1000000);
    field("steps", &TrainOptions::steps, "updates").Range(1, 1e12);
    field("minutes", &TrainOptions::minutes, "of wall-clock time, preparation and validation included").Range(0.01, 1e6).Unit("minutes");
    field("batch_tokens", &TrainOptions::batch_tokens, "of one batch, padding included").Range(1, 1e8).Unit("tokens");
    field("batch_sentences", &TrainOptions::batch_sentences, "of one batch, instead of batch_tokens; 0: batch_tokens counts").Range(0, 1e6);
    field("accumulate", &TrainOptions::accumulate, "batches to an update").Range(1, 10000);
    field("optimiser", &TrainOptions::optimiser, "how gradients become updates");
    field("learning_rate", &TrainOptions::learning_rate, "the highest rate of the schedule").Range(0, 10);
    field("beta1", &TrainOptions::beta1, "Adam: decay of the mean gradient").Range(0, 0.99999);
    field("beta2", &TrainOptions::beta2, "Adam: decay of the mean squared gradient").Range(0, 0.999999);
    field("epsilon", &TrainOptions::epsilon, "Adam: added to the root of the mean square").Range(0, 1);
    field("momentum", &TrainOptions::momentum, "SGD").Range(0, 0.9999);
    field("weight_decay", &TrainOptions::weight_decay, "a step, of matrices; biases and the weights of norms do not decay").Range(0, 1);
    field("schedule", &TrainOptions::schedule, "how the rate changes");
    field("warmup", &TrainOptions::warmup, "the rate rises in a straight line over the first updates").Range(0, 1e9).Unit("updates");
    field("hold", &TrainOptions::hold, "linear: the part of the run before the rate begins to fall").Range(0, 1);
    field("final_rate", &TrainOptions::final_rate, "cosine, linear, plateau: the lowest rate, as a part of the highest").Range(0, 1);
    field("plateau_factor", &TrainOptions::plateau_factor, "plateau: what the rate is multiplied by").Range(0.01, 0.99);
    field("plateau_patience", &TrainOptions::plateau_patience, "plateau: validations without improvement before that").Range(1, 1000);
    field("clip", &TrainOptions::clip, "greatest norm of the gradient; 0: no limit").Range(0, 1e6);
    field("label_smoothing", &TrainOptions::label_smoothing, "probability spread over the vocabulary (Szegedy et al. 2016)").Range(0, 0.9);
    field("guided_alignment", &TrainOptions::guided_alignment,
          "weight of the loss between given word alignments and attention (Chen et al. 2016)")
        .Range(0, 100);
    field("coverage_loss", &TrainOptions::coverage_loss, "weight of the loss for attending to the same place again (See et al. 2017)")
        .Range(0, 100);
    field("baseline", &TrainOptions::baseline,
          "hard attention by REINFORCE: decay of the moving average of the loss with which that of a choice is compared")
        .Range(0, 0.9999);
    field("ema", &TrainOptions::ema, "decay of the exponential moving average of the weights, which is what is validated and kept; 0: none")
        .Range(0, 0.999999);
    field("average", &TrainOptions::average,
          "instead of ema: validate and keep the mean of the weights at the last so many validations; 0: off")
        .Range(0, 100);
    field("precision", &TrainOptions::precision, "of matrix products");
    field("gradient_checkpointing", &TrainOptions::gradient_checkpointing,
          "layers of Transformers keep what enters them alone, and compute the rest again in the backward pass: less memory, a third more "
          "time");
    field("validate_steps", &TrainOptions::validate_steps, "updates between validations; 0: once an epoch").Range(0, 1e9);
    field("metric", &TrainOptions::metric, "on the validation text: chooses the weights that are kept");
    field("patience", &TrainOptions::patience, "stop after so many validations without improvement; 0: never").Range(0, 1e6);
    field("samples", &TrainOptions::samples, "outputs shown at each validation").Range(0, 100);
    field("log_steps", &TrainOptions::log_steps, "updates between lines of the log").Range(1, 1e6);
    field("init", &TrainOptions::init, "start from the weights of this model");
    field("seed", &TrainOptions::seed, "of everything random");
  }
};

}  // namespace attend::train
