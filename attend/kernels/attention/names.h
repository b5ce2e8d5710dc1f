#pragma once

#include <optional>
#include <string_view>

#include "attend/kernels/attention/problem.h"

namespace attend::kernels::attention {

// What the kernels have, by the names of the vocabulary (spec/*.def, ops/readouts.def). A mechanism that is not here is composed.

template <class E>
struct Named {
  std::string_view name;
  E value;
};

inline constexpr Named<Score> kScores[] = {{"dot", Score::dot},           {"scaled_dot", Score::dot},
                                           {"cosine", Score::cosine},     {"euclidean", Score::euclidean},
                                           {"additive", Score::additive}, {"given", Score::given}};
inline constexpr Named<Normaliser> kNormalisers[] = {{"softmax", Normaliser::softmax},
                                                     {"sigmoid", Normaliser::sigmoid},
                                                     {"sparsemax", Normaliser::sparsemax},
                                                     {"entmax15", Normaliser::entmax15}};
inline constexpr Named<Readout> kReadouts[] = {{"soft", Readout::soft},
                                               {"sample", Readout::sample},
                                               {"argmax", Readout::argmax},
                                               {"straight_through", Readout::straight_through},
                                               {"gumbel", Readout::gumbel}};

template <class E, size_t n>
constexpr std::optional<E> Find(const Named<E> (&list)[n], std::string_view name) {
  for (const Named<E>& entry : list)
    if (entry.name == name) return entry.value;
  return std::nullopt;
}

}  // namespace attend::kernels::attention
