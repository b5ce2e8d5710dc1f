#include "attend/spec/validate.h"

#include <utility>

#include "attend/base/error.h"

namespace attend::spec {
namespace {

const WindowSupport* Window(const AttentionSpec& s) { return std::get_if<WindowSupport>(&s.support); }

std::string Side(const std::optional<int64_t>& side) { return side ? std::to_string(*side) : "none"; }

constexpr Rule kRules[] = {
    {"at least one head", "the query's features are divided among the heads", [](const AttentionSpec& s) { return s.heads < 1; },
     [](const AttentionSpec& s) { return "heads " + std::to_string(s.heads); }},
    {"key_value_heads that divide heads", "each key/value head serves the same number of query heads",
     [](const AttentionSpec& s) { return s.KeyValueHeads() < 1 || s.heads % s.KeyValueHeads() != 0; },
     [](const AttentionSpec& s) { return "heads " + std::to_string(s.heads) + ", key_value_heads " + std::to_string(s.key_value_heads); }},
    {"dropout from 0 to 1", "it is a probability", [](const AttentionSpec& s) { return !(s.dropout >= 0 && s.dropout <= 1); },
     [](const AttentionSpec& s) { return "dropout " + std::to_string(s.dropout); }},
    {"a window of at least 0 keys on each side", "a negative side would hide the query's own position",
     [](const AttentionSpec& s) {
       const WindowSupport* w = Window(s);
       return w && (w->left.value_or(0) < 0 || w->right.value_or(0) < 0);
     },
     [](const AttentionSpec& s) { return "window left " + Side(Window(s)->left) + ", right " + Side(Window(s)->right); }},
    {"no keys on the right of a causal window", "causal hides every key after the query's position",
     [](const AttentionSpec& s) { return s.causal && Window(s) && Window(s)->right.value_or(0) > 0; },
     [](const AttentionSpec& s) { return "causal with window right " + Side(Window(s)->right); }},
};

template <size_t... i>
void ForEachSupport(std::index_sequence<i...>, const std::function<void(const Support&)>& visit) {
  (visit(Support{std::in_place_index<i>}), ...);
}

}  // namespace

std::span<const Rule> Rules() { return kRules; }

std::optional<std::string> Validate(const AttentionSpec& spec) {
  for (const Rule& rule : kRules)
    if (rule.broken(spec))
      return "expected " + std::string(rule.expected) + "; found " + rule.found(spec) + " (" + std::string(rule.reason) + ")";
  return std::nullopt;
}

void RequireValid(std::string_view part, const AttentionSpec& spec) {
  if (const auto broken = Validate(spec)) throw UserError("[" + std::string(part) + "] " + *broken);
}

void ForEachCombination(const std::function<void(const AttentionSpec&)>& visit) {
  ForEachSupport(std::make_index_sequence<std::variant_size_v<Support>>(), [&](const Support& support) {
    for (const Choice& score : Choices(Score{}))
      for (const Choice& normaliser : Choices(Normaliser{}))
        for (const Choice& readout : Choices(Readout{}))
          for (bool causal : {false, true}) {
            AttentionSpec spec;
            spec.score = static_cast<Score>(score.value);
            spec.support = support;
            spec.causal = causal;
            spec.normaliser = static_cast<Normaliser>(normaliser.value);
            spec.readout = static_cast<Readout>(readout.value);
            visit(spec);
          }
  });
}

}  // namespace attend::spec
