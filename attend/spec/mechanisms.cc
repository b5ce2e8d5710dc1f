#include "attend/spec/mechanisms.h"

#include <array>

namespace attend::spec {
namespace {

#define ATTEND_ENTRY(name, formula, source, parameters) Mechanism{#name, formula, source, parameters},
#define ATTEND_SCORE ATTEND_ENTRY
constexpr Mechanism kScores[] = {
#include "attend/spec/scores.def"
};
#undef ATTEND_SCORE
#define ATTEND_SUPPORT(name, options, formula, source, parameters) ATTEND_ENTRY(name, formula, source, parameters)
constexpr Mechanism kSupports[] = {
#include "attend/spec/supports.def"
};
#undef ATTEND_SUPPORT
#define ATTEND_NORMALISER ATTEND_ENTRY
constexpr Mechanism kNormalisers[] = {
#include "attend/spec/normalisers.def"
};
#undef ATTEND_NORMALISER
#define ATTEND_READOUT(name, options, formula, source, parameters) ATTEND_ENTRY(name, formula, source, parameters)
constexpr Mechanism kReadouts[] = {
#include "attend/spec/readouts.def"
};
#undef ATTEND_READOUT
#define ATTEND_ESTIMATOR(name, options, formula, source, parameters) ATTEND_ENTRY(name, formula, source, parameters)
constexpr Mechanism kEstimators[] = {
#include "attend/spec/estimators.def"
};
#undef ATTEND_ESTIMATOR
#define ATTEND_FUSION ATTEND_ENTRY
constexpr Mechanism kFusions[] = {
#include "attend/spec/fusions.def"
};
#undef ATTEND_FUSION
#define ATTEND_CELL ATTEND_ENTRY
constexpr Mechanism kCells[] = {
#include "attend/spec/cells.def"
};
#undef ATTEND_CELL
#define ATTEND_INTRA(name, options, formula, source, parameters) ATTEND_ENTRY(name, formula, source, parameters)
constexpr Mechanism kIntras[] = {
#include "attend/spec/intras.def"
};
#undef ATTEND_INTRA
#define ATTEND_POSITION(name, options, formula, source, parameters) ATTEND_ENTRY(name, formula, source, parameters)
constexpr Mechanism kPositions[] = {
#include "attend/spec/positions.def"
};
#undef ATTEND_POSITION
#undef ATTEND_ENTRY

constexpr MechanismList kLists[] = {
    {"scores", "score", "how a query is compared with a key", kScores},
    {"supports", "support", "which keys a query may see", kSupports},
    {"normalisers", "normaliser", "how scores become weights", kNormalisers},
    {"readouts", "readout", "how weights read the values", kReadouts},
    {"estimators", "estimator", "how the choice of a hard readout is differentiated", kEstimators},
    {"fusions", "fusion", "how a recurrent decoder uses its context", kFusions},
    {"cells", "cell", "how a recurrent network carries its state", kCells},
    {"intras", "intra", "how a recurrent cell attends over its own past", kIntras},
    {"positions", "positions", "how layers without recurrence know the order of their tokens", kPositions},
};

// An enum's values are the lines of its list in order, so a line's place is its value.
template <size_t n>
constexpr std::array<Choice, n> MakeChoices(const Mechanism (&list)[n]) {
  std::array<Choice, n> out{};
  for (size_t i = 0; i < n; i++) out[i] = {list[i].name, static_cast<int>(i), list[i].formula};
  return out;
}

constexpr auto kScoreChoices = MakeChoices(kScores);
constexpr auto kNormaliserChoices = MakeChoices(kNormalisers);
constexpr auto kFusionChoices = MakeChoices(kFusions);
constexpr auto kCellChoices = MakeChoices(kCells);

constexpr Choice kScoreVectorChoices[] = {
    {"learned", static_cast<int>(ScoreVector::learned), "a parameter"},
    {"ones", static_cast<int>(ScoreVector::ones), "all ones: the sum of the hidden layer"},
};

constexpr Choice kScoreAliases[] = {
    {"bahdanau", static_cast<int>(Score::additive)},
    {"luong", static_cast<int>(Score::general)},
    {"multiplicative", static_cast<int>(Score::dot)},
};

}  // namespace

std::span<const Choice> Choices(Score) { return kScoreChoices; }
std::span<const Choice> Aliases(Score) { return kScoreAliases; }
std::span<const Choice> Choices(Normaliser) { return kNormaliserChoices; }
std::span<const Choice> Choices(Fusion) { return kFusionChoices; }
std::span<const Choice> Choices(Cell) { return kCellChoices; }
std::span<const Choice> Choices(ScoreVector) { return kScoreVectorChoices; }
std::span<const MechanismList> Mechanisms() { return kLists; }

}  // namespace attend::spec
