#pragma once

#include <span>
#include <string_view>

#include "attend/base/enum.h"

namespace attend::spec {

// The lists of mechanisms stand in *.def, one line a mechanism; enums, names, help, docs, tests and benchmarks are made of them.
#define ATTEND_ENUM_VALUE(name, ...) name,
#define ATTEND_SCORE ATTEND_ENUM_VALUE
enum class Score {
#include "attend/spec/scores.def"
};
#undef ATTEND_SCORE
#define ATTEND_NORMALISER ATTEND_ENUM_VALUE
enum class Normaliser {
#include "attend/spec/normalisers.def"
};
#undef ATTEND_NORMALISER
#define ATTEND_FUSION ATTEND_ENUM_VALUE
enum class Fusion {
#include "attend/spec/fusions.def"
};
#undef ATTEND_FUSION
#define ATTEND_CELL ATTEND_ENUM_VALUE
enum class Cell {
#include "attend/spec/cells.def"
};
#undef ATTEND_CELL
// What a score's vector v is: the word of the option score_vector.
enum class ScoreVector { learned, ones };
#undef ATTEND_ENUM_VALUE

std::span<const Choice> Choices(Score);
std::span<const Choice> Aliases(Score);  // the names of the papers' authors: accepted on input, never printed
std::span<const Choice> Choices(Normaliser);
std::span<const Choice> Choices(Fusion);
std::span<const Choice> Choices(Cell);
std::span<const Choice> Choices(ScoreVector);

// One line of a list: what `attend mechanisms` and docs/mechanisms.md print.
struct Mechanism {
  std::string_view name, formula, source;
  std::string_view parameters;  // learned parameters or options; empty: none
};

struct MechanismList {
  std::string_view name;      // "scores", as in spec/<name>.def and ops/<name>/
  std::string_view field;     // the option that chooses among them: "score"
  std::string_view question;  // what the list answers: "how a query is compared with a key"
  std::span<const Mechanism> mechanisms;
};

// Every list, in the order in which the docs print them.
std::span<const MechanismList> Mechanisms();

}  // namespace attend::spec
