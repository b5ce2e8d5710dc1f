#pragma once

#include <cstdint>
#include <span>

#include "attend/base/enum.h"

namespace attend::search {

// lp(Y), by which the log-probability of an output Y of |Y| tokens (the end symbol counts) is divided before outputs are compared.
enum class LengthPenalty { none, average, wu };

inline std::span<const Choice> Choices(LengthPenalty) {
  static constexpr Choice kChoices[] = {
      {"none", static_cast<int>(LengthPenalty::none), "1: the most likely output, which is often too short"},
      {"average", static_cast<int>(LengthPenalty::average), "|Y|^alpha; alpha 1: the mean log-probability of a token"},
      {"wu", static_cast<int>(LengthPenalty::wu), "((5 + |Y|) / 6)^alpha (Wu et al. 2016, equation 14)"},
  };
  return kChoices;
}

// How outputs are found. The default is beam search by mean log-probability, the practice of translation: length normalisation
// repairs most of what a beam loses to short outputs (Murray and Chiang 2018, "Correcting length bias in neural machine translation").
struct SearchOptions {
  int beam = 5;
  int nbest = 1;
  LengthPenalty length_penalty = LengthPenalty::average;
  double length_alpha = 1;
  double coverage_penalty = 0;
  double patience = 1;
  int max_length = 1024;
  double max_ratio = 2;
  int max_extra = 50;
  int min_length = 0;
  int no_repeat_ngram = 0;
  bool sample = false;
  double temperature = 1;
  int top_k = 0;
  double top_p = 1;
  int64_t seed = 1;
  bool replace_unknown = false;
  int batch_sentences = 64;
  int batch_tokens = 8192;

  template <class F>
  static void Declare(F& field) {
    field("beam", &SearchOptions::beam, "hypotheses kept for each sentence; 1: greedy").Range(1, 1024);
    field("nbest", &SearchOptions::nbest, "outputs for each sentence: the best of the beam, or independent samples").Range(1, 1024);
    field("length_penalty", &SearchOptions::length_penalty, "what the log-probability is divided by before outputs are compared");
    field("length_alpha", &SearchOptions::length_alpha, "exponent of the length penalty").Range(0, 10);
    field("coverage_penalty", &SearchOptions::coverage_penalty,
          "weight beta of the penalty on source positions that got little attention (Wu et al. 2016); 0: none")
        .Range(0, 100);
    field("patience", &SearchOptions::patience,
          "stop after patience x beam complete outputs (Kasai et al. 2022); 0: only when no hypothesis can still win")
        .Range(0, 1000);
    field("max_length", &SearchOptions::max_length, "longest output in tokens").Range(1, 1000000);
    field("max_ratio", &SearchOptions::max_ratio, "longest output: max_ratio x source tokens + max_extra").Range(0, 1000);
    field("max_extra", &SearchOptions::max_extra, "longest output: max_ratio x source tokens + max_extra").Range(0, 1000000);
    field("min_length", &SearchOptions::min_length, "shortest output in tokens").Range(0, 1000000);
    field("no_repeat_ngram", &SearchOptions::no_repeat_ngram, "no sequence of this many tokens appears twice in an output; 0: off")
        .Range(0, 100);
    field("sample", &SearchOptions::sample, "draw the output instead of searching for the best");
    field("temperature", &SearchOptions::temperature, "of sampling: below 1 sharper, above 1 flatter, 0 the most likely token")
        .Range(0, 100);
    field("top_k", &SearchOptions::top_k, "sample from the k most likely tokens; 0: from all").Range(0, 1000000);
    field("top_p", &SearchOptions::top_p, "sample from the fewest tokens that together have this probability (Holtzman et al. 2020)")
        .Range(0, 1);
    field("seed", &SearchOptions::seed, "of sampling");
    field("replace_unknown", &SearchOptions::replace_unknown,
          "replace an unknown word by the source word that it attends to most (Jean et al. 2015)");
    field("batch_sentences", &SearchOptions::batch_sentences, "sentences decoded together").Range(1, 65536);
    field("batch_tokens", &SearchOptions::batch_tokens, "source tokens decoded together, padding included").Range(1, 100000000);
  }
};

// Throws UserError when fields contradict each other (nbest above beam, min_length above max_length) or lie outside their range.
void Validate(const SearchOptions& options);

}  // namespace attend::search
