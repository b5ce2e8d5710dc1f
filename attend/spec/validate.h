#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attend/spec/attention_spec.h"

namespace attend::spec {

// One line of the table of legal combinations: a spec for which `broken` is true is illegal.
struct Rule {
  std::string_view expected;  // what holds in every legal spec: "key_value_heads that divide heads"
  std::string_view reason;    // why
  bool (*broken)(const AttentionSpec&);
  std::string (*found)(const AttentionSpec&);  // the offending values, for the message
};

// The whole table. Tests and docs iterate over it.
std::span<const Rule> Rules();

// The first broken rule as "expected …; found … (reason)", or nothing when the spec is legal.
std::optional<std::string> Validate(const AttentionSpec& spec);

// Throws UserError "[part] expected …; found …" when the spec is illegal.
void RequireValid(std::string_view part, const AttentionSpec& spec);

// Calls `visit` with every combination of score, support, causal, normaliser, readout and estimator, other options at their defaults.
void ForEachCombination(const std::function<void(const AttentionSpec&)>& visit);

// The mechanisms of a spec by list: {"scores", "additive"}, {"supports", "all"}, … A soft readout has no estimator.
struct Member {
  std::string_view list, name;
  bool operator==(const Member&) const = default;
};
std::vector<Member> Members(const AttentionSpec& spec);

// The mechanisms that no legal spec combines with this one, with the reason of the table. Empty: it goes with all.
struct Conflict {
  Member other;
  std::string_view reason;
};
std::vector<Conflict> Conflicts(const Member& member);

// "all" or "all but normaliser sigmoid (they do not …), support predictive (…)": what a mechanism may be combined with.
std::string Partners(const Member& member);

}  // namespace attend::spec
