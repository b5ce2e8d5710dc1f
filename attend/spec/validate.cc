#include "attend/spec/validate.h"

#include <array>
#include <map>
#include <sstream>
#include <utility>

#include "attend/base/error.h"

namespace attend::spec {
namespace {

template <class S>
const S* As(const AttentionSpec& s) {
  return std::get_if<S>(&s.support);
}

std::string Text(double x) {
  std::ostringstream out;
  out << x;
  return out.str();
}

std::string Side(const std::optional<int64_t>& side) { return side ? std::to_string(*side) : "none"; }

std::string_view Kind(const Support& support) {
  return std::visit([](const auto& s) { return s.kKind; }, support);
}

bool IsHard(const AttentionSpec& s) { return std::holds_alternative<HardReadout>(s.readout); }
bool HasVector(Score score) { return score == Score::additive || score == Score::concat; }
bool LearnsScale(Score score) { return score == Score::cosine || score == Score::euclidean; }
std::string WithScore(const std::string& what, const AttentionSpec& s) { return what + " with score " + std::string(Name(s.score)); }

// D of the supports that have one.
std::optional<int64_t> HalfWidth(const AttentionSpec& s) {
  if (const auto* m = As<MonotonicSupport>(s)) return m->half_width;
  if (const auto* p = As<PredictiveSupport>(s)) return p->half_width;
  return std::nullopt;
}

constexpr Rule kRules[] = {
    {"at least one head", "the query's features are divided among the heads", [](const AttentionSpec& s) { return s.heads < 1; },
     [](const AttentionSpec& s) { return "heads " + std::to_string(s.heads); }},
    {"key_value_heads that divide heads", "each key/value head serves the same number of query heads",
     [](const AttentionSpec& s) { return s.KeyValueHeads() < 1 || s.heads % s.KeyValueHeads() != 0; },
     [](const AttentionSpec& s) { return "heads " + std::to_string(s.heads) + ", key_value_heads " + std::to_string(s.key_value_heads); }},
    {"dropout from 0 to 1", "it is a probability", [](const AttentionSpec& s) { return !(s.dropout >= 0 && s.dropout <= 1); },
     [](const AttentionSpec& s) { return "dropout " + Text(s.dropout); }},
    {"score_vector ones with score additive or concat", "no other score has a vector",
     [](const AttentionSpec& s) { return s.score_vector != ScoreVector::learned && !HasVector(s.score); },
     [](const AttentionSpec& s) { return WithScore("score_vector " + std::string(Name(s.score_vector)), s); }},
    {"a scale above 0 with score scaled_dot, cosine or euclidean", "no other score has a scale",
     [](const AttentionSpec& s) { return s.scale && (!(*s.scale > 0) || (s.score != Score::scaled_dot && !LearnsScale(s.score))); },
     [](const AttentionSpec& s) { return WithScore("scale " + Text(*s.scale), s); }},
    {"learned_scale false with score cosine or euclidean", "no other score learns a scale",
     [](const AttentionSpec& s) { return !s.learned_scale && !LearnsScale(s.score); },
     [](const AttentionSpec& s) { return WithScore("learned_scale false", s); }},
    {"at least one of the positions, with score position", "it has a row of scores for each, and no other score counts them",
     [](const AttentionSpec& s) { return s.positions && (*s.positions < 1 || s.score != Score::position); },
     [](const AttentionSpec& s) { return WithScore("positions " + std::to_string(*s.positions), s); }},
    {"a window of at least 0 keys on each side", "a negative side would hide the query's own position",
     [](const AttentionSpec& s) {
       const auto* w = As<WindowSupport>(s);
       return w && (w->left.value_or(0) < 0 || w->right.value_or(0) < 0);
     },
     [](const AttentionSpec& s) {
       return "window left " + Side(As<WindowSupport>(s)->left) + ", right " + Side(As<WindowSupport>(s)->right);
     }},
    {"no keys on the right of a causal window", "causal hides every key after the query's position",
     [](const AttentionSpec& s) { return s.causal && As<WindowSupport>(s) && As<WindowSupport>(s)->right.value_or(0) > 0; },
     [](const AttentionSpec& s) { return "causal with window right " + Side(As<WindowSupport>(s)->right); }},
    {"blocks of at least one key that look back 0 blocks or more", "a query stands in a block",
     [](const AttentionSpec& s) { return As<BlockSupport>(s) && (As<BlockSupport>(s)->size < 1 || As<BlockSupport>(s)->look_back < 0); },
     [](const AttentionSpec& s) {
       return "block size " + std::to_string(As<BlockSupport>(s)->size) + ", look_back " + std::to_string(As<BlockSupport>(s)->look_back);
     }},
    {"a half_width of at least 0, and 1 around a predicted centre", "half of it is the deviation of a Gaussian",
     [](const AttentionSpec& s) { return HalfWidth(s) && *HalfWidth(s) < (As<PredictiveSupport>(s) ? 1 : 0); },
     [](const AttentionSpec& s) { return std::string(Kind(s.support)) + " half_width " + std::to_string(*HalfWidth(s)); }},
    {"global_keys with support window, block or monotonic", "with all every key is visible, and predictive sees what it centres on",
     [](const AttentionSpec& s) { return s.global_keys < 0 || (s.global_keys > 0 && (As<AllSupport>(s) || As<PredictiveSupport>(s))); },
     [](const AttentionSpec& s) {
       return "global_keys " + std::to_string(s.global_keys) + " with support " + std::string(Kind(s.support));
     }},
    {"a soft readout of sigmoid weights", "they do not sum to 1, so that no position can be drawn from them",
     [](const AttentionSpec& s) { return IsHard(s) && s.normaliser == Normaliser::sigmoid; },
     [](const AttentionSpec&) { return std::string("readout hard with normaliser sigmoid"); }},
    {"a soft readout of predictive support", "its Gaussian leaves weights that do not sum to 1, so that no position can be drawn from them",
     [](const AttentionSpec& s) { return IsHard(s) && As<PredictiveSupport>(s); },
     [](const AttentionSpec&) { return std::string("readout hard with support predictive"); }},
};

template <class V, class F>
void ForEachAlternative(F&& visit) {
  [&]<size_t... i>(std::index_sequence<i...>) {
    (visit(V{std::in_place_index<i>}), ...);
  }(std::make_index_sequence<std::variant_size_v<V>>());
}

const Rule* Broken(const AttentionSpec& spec) {
  for (const Rule& rule : kRules)
    if (rule.broken(spec)) return &rule;
  return nullptr;
}

}  // namespace

std::span<const Rule> Rules() { return kRules; }

std::optional<std::string> Validate(const AttentionSpec& spec) {
  const Rule* rule = Broken(spec);
  if (!rule) return std::nullopt;
  return "expected " + std::string(rule->expected) + "; found " + rule->found(spec) + " (" + std::string(rule->reason) + ")";
}

void RequireValid(std::string_view part, const AttentionSpec& spec) {
  if (const auto broken = Validate(spec)) throw UserError("[" + std::string(part) + "] " + *broken);
}

void ForEachCombination(const std::function<void(const AttentionSpec&)>& visit) {
  std::vector<Readout> readouts;
  ForEachAlternative<Readout>([&](const Readout& readout) {
    if (!std::holds_alternative<HardReadout>(readout)) readouts.push_back(readout);
  });
  ForEachAlternative<Estimator>([&](const Estimator& estimator) { readouts.emplace_back(HardReadout{estimator}); });
  ForEachAlternative<Support>([&](const Support& support) {
    for (const Choice& score : Choices(Score{}))
      for (const Choice& normaliser : Choices(Normaliser{}))
        for (const Readout& readout : readouts)
          for (bool causal : {false, true}) {
            AttentionSpec spec;
            spec.score = static_cast<Score>(score.value);
            spec.support = support;
            spec.causal = causal;
            spec.normaliser = static_cast<Normaliser>(normaliser.value);
            spec.readout = readout;
            visit(spec);
          }
  });
}

std::vector<Member> Members(const AttentionSpec& spec) {
  const auto kind = [](const auto& options) { return options.kKind; };
  std::vector<Member> out = {{"scores", Name(spec.score)},
                             {"supports", Kind(spec.support)},
                             {"normalisers", Name(spec.normaliser)},
                             {"readouts", std::visit(kind, spec.readout)}};
  if (const auto* hard = std::get_if<HardReadout>(&spec.readout)) out.push_back({"estimators", std::visit(kind, hard->estimator)});
  return out;
}

namespace {

// What becomes of each pair of mechanisms over all combinations that hold both: {list, name} of one and of the other.
struct Fate {
  bool legal = false;
  std::string_view reason;
};
using Pairs = std::map<std::array<std::string_view, 4>, Fate>;

Pairs AllPairs() {
  Pairs pairs;
  ForEachCombination([&](const AttentionSpec& spec) {
    const Rule* rule = Broken(spec);
    const std::vector<Member> members = Members(spec);
    for (const Member& a : members)
      for (const Member& b : members) {
        Fate& fate = pairs[{a.list, a.name, b.list, b.name}];
        fate.legal = fate.legal || !rule;
        if (rule && fate.reason.empty()) fate.reason = rule->reason;
      }
  });
  return pairs;
}

}  // namespace

std::vector<Conflict> Conflicts(const Member& member) {
  static const Pairs pairs = AllPairs();
  std::vector<Conflict> out;
  for (const auto& [pair, fate] : pairs)
    if (pair[0] == member.list && pair[1] == member.name && !fate.legal) out.push_back({{pair[2], pair[3]}, fate.reason});
  return out;
}

std::string Partners(const Member& member) {
  const std::vector<Conflict> conflicts = Conflicts(member);
  std::string out;
  for (const MechanismList& list : Mechanisms())
    for (const Conflict& conflict : conflicts) {
      if (conflict.other.list != list.name || list.name == "estimators") continue;  // those of a hard readout go with it
      out += (out.empty() ? "all but " : ", ") + std::string(list.field) + " " + std::string(conflict.other.name) + " (" +
             std::string(conflict.reason) + ")";
    }
  return out.empty() ? "all" : out;
}

}  // namespace attend::spec
