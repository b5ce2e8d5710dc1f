#pragma once

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>

#include "attend/kernels/attention/problem.h"

namespace attend::kernels::attention {

// What the kernels have, by the names of the vocabulary (spec/*.def) and of the operator (ops/readouts.def). A mechanism that is not here
// is composed.

template <class E>
struct Named {
  std::string_view name;
  E value;
};

// The operator asks for none of general, concat, linear and position: a layer projects, or makes the scores itself (ops/scores/*.h).
inline constexpr Named<Score> kScores[] = {{"dot", Score::dot},         {"scaled_dot", Score::dot},      {"general", Score::dot},
                                           {"cosine", Score::cosine},   {"euclidean", Score::euclidean}, {"additive", Score::additive},
                                           {"concat", Score::additive}, {"given", Score::given},         {"linear", Score::given},
                                           {"position", Score::given}};
inline constexpr std::string_view kSupports[] = {"all", "window", "block", "monotonic", "predictive"};  // visibility.h
inline constexpr Named<Normaliser> kNormalisers[] = {{"softmax", Normaliser::softmax},
                                                     {"sigmoid", Normaliser::sigmoid},
                                                     {"sparsemax", Normaliser::sparsemax},
                                                     {"entmax15", Normaliser::entmax15}};
// Of a hard readout, `argmax` is what it does in use, the others are what its estimators do in training.
inline constexpr Named<Readout> kReadouts[] = {{"soft", Readout::soft},        {"sample", Readout::sample},
                                               {"reinforce", Readout::sample}, {"argmax", Readout::argmax},
                                               {"hard", Readout::argmax},      {"straight_through", Readout::straight_through},
                                               {"gumbel", Readout::gumbel}};

template <class E, size_t n>
constexpr std::optional<E> Find(const Named<E> (&list)[n], std::string_view name) {
  for (const Named<E>& entry : list)
    if (entry.name == name) return entry.value;
  return std::nullopt;
}

// Whether the kernels have the mechanism of a list of the vocabulary (spec::Mechanisms).
constexpr bool Has(std::string_view list, std::string_view name) {
  if (list == "scores") return Find(kScores, name).has_value();
  if (list == "supports") return std::find(std::begin(kSupports), std::end(kSupports), name) != std::end(kSupports);
  if (list == "normalisers") return Find(kNormalisers, name).has_value();
  return (list == "readouts" || list == "estimators") && Find(kReadouts, name).has_value();
}

}  // namespace attend::kernels::attention
