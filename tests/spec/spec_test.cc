#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "attend/spec/attention_spec.h"
#include "attend/spec/validate.h"

namespace attend::spec {
namespace {

using ::testing::HasSubstr;

TEST(Mechanisms, EveryLineSaysWhatItIsAndWhereItComesFrom) {
  std::set<std::string> seen;
  for (const MechanismList& list : Mechanisms()) {
    EXPECT_FALSE(list.mechanisms.empty()) << list.name;
    for (const Mechanism& m : list.mechanisms) {
      EXPECT_TRUE(seen.insert(std::string(list.name) + "." + std::string(m.name)).second) << m.name << " twice";
      EXPECT_FALSE(m.formula.empty()) << m.name;
      EXPECT_THAT(std::string(m.source), ::testing::ContainsRegex("(19|20)[0-9][0-9]")) << m.name;
    }
  }
  EXPECT_TRUE(seen.contains("scores.additive"));
  EXPECT_TRUE(seen.contains("fusions.conditional"));
}

TEST(Mechanisms, NamesAndValuesAgree) {
  EXPECT_EQ(Name(Score::additive), "additive");
  EXPECT_EQ(Name(Fusion::feed), "feed");
  EXPECT_EQ(ParseChoice<Cell>("cell", "gru"), Cell::gru);
  for (const Choice& c : Choices(Score{})) EXPECT_EQ(static_cast<int>(ParseChoice<Score>("score", c.name)), c.value);
}

TEST(Mechanisms, AuthorsNamesAreAcceptedAndNeverPrinted) {
  EXPECT_EQ(ParseChoice<Score>("score", "bahdanau"), Score::additive);
  EXPECT_EQ(ParseChoice<Score>("score", "luong"), Score::general);
  EXPECT_EQ(ParseChoice<Score>("score", "multiplicative"), Score::dot);
  EXPECT_THAT(ChoiceList<Score>(), ::testing::Not(HasSubstr("luong")));
}

TEST(Mechanisms, AnUnknownNameListsWhatThereIs) {
  try {
    ParseChoice<Score>("score", "no_such_score");
    FAIL();
  } catch (const UserError& e) {
    EXPECT_STREQ(e.what(), ("[score] expected one of " + ChoiceList<Score>() + "; found no_such_score").c_str());
  }
}

TEST(Supports, TheVariantFollowsTheList) {
  const MechanismList* supports = nullptr;
  for (const MechanismList& list : Mechanisms())
    if (list.name == "supports") supports = &list;
  ASSERT_NE(supports, nullptr);
  ASSERT_EQ(std::variant_size_v<Support>, supports->mechanisms.size());
  std::set<std::string_view> kinds;
  ForEachCombination([&](const AttentionSpec& s) {
    std::visit(
        [&](const auto& support) {
          EXPECT_EQ(support.kKind, supports->mechanisms[s.support.index()].name);
          kinds.insert(support.kKind);
        },
        s.support);
  });
  EXPECT_EQ(kinds.size(), supports->mechanisms.size());
}

TEST(Validate, EveryCombinationOfDefaultsIsLegalOrSaysWhyNot) {
  int combinations = 0;
  std::set<std::string> seen;
  ForEachCombination([&](const AttentionSpec& s) {
    combinations++;
    std::string name = s.causal ? "causal" : "";
    for (const Member& m : Members(s)) name += "/" + std::string(m.name);
    seen.insert(name);
    bool broken = false;
    for (const Rule& rule : Rules()) broken |= rule.broken(s);
    EXPECT_EQ(Validate(s).has_value(), broken);
  });
  EXPECT_EQ(static_cast<int>(seen.size()), combinations);
  const size_t readouts = std::variant_size_v<Readout> - 1 + std::variant_size_v<Estimator>;
  EXPECT_EQ(combinations,
            static_cast<int>(Choices(Score{}).size() * std::variant_size_v<Support> * 2 * Choices(Normaliser{}).size() * readouts));
}

// Each rule is broken by one spec here, and by that rule first.
TEST(Validate, EachRuleIsReachedAndSaysWhy) {
  std::vector<AttentionSpec> specs;
  const auto add = [&](auto&& change) {
    AttentionSpec s;
    change(s);
    specs.push_back(s);
  };
  add([](auto& s) { s.heads = 0; });
  add([](auto& s) { s.heads = 8, s.key_value_heads = 3; });
  add([](auto& s) { s.dropout = 1.5; });
  add([](auto& s) { s.dropout = std::numeric_limits<double>::quiet_NaN(); });
  add([](auto& s) { s.score_vector = ScoreVector::ones; });
  add([](auto& s) { s.score = Score::additive, s.scale = 2; });
  add([](auto& s) { s.score = Score::cosine, s.scale = 0; });
  add([](auto& s) { s.learned_scale = false; });
  add([](auto& s) { s.positions = 20; });
  add([](auto& s) { s.score = Score::position, s.positions = 0; });
  add([](auto& s) { s.support = WindowSupport{-1, 2}; });
  add([](auto& s) { s.causal = true, s.support = WindowSupport{3, 2}; });
  add([](auto& s) { s.support = BlockSupport{0, 1}; });
  add([](auto& s) { s.support = PredictiveSupport{0}; });
  add([](auto& s) { s.support = MonotonicSupport{-1}; });
  add([](auto& s) { s.global_keys = 1; });
  add([](auto& s) { s.global_keys = 1, s.support = PredictiveSupport{}; });
  add([](auto& s) { s.readout = HardReadout{}, s.normaliser = Normaliser::sigmoid; });
  add([](auto& s) { s.readout = HardReadout{GumbelEstimator{}}, s.support = PredictiveSupport{}; });
  std::set<std::string_view> reached;
  for (const AttentionSpec& s : specs) {
    const auto why = Validate(s);
    ASSERT_TRUE(why);
    for (const Rule& rule : Rules())
      if (rule.broken(s)) {
        EXPECT_THAT(*why, HasSubstr(std::string(rule.expected)));
        EXPECT_THAT(*why, HasSubstr(std::string(rule.reason)));
        reached.insert(rule.expected);
        break;
      }
    EXPECT_THROW(RequireValid("attention", s), UserError);
  }
  EXPECT_EQ(reached.size(), Rules().size());
  EXPECT_EQ(*Validate(specs[1]),
            "expected key_value_heads that divide heads; found heads 8, key_value_heads 3 (each key/value head serves the "
            "same number of query heads)");
  EXPECT_EQ(*Validate(specs[5]),
            "expected a scale above 0 with score scaled_dot, cosine or euclidean; found scale 2 with score additive (no other score has a "
            "scale)");
}

TEST(Validate, ConflictsAreThoseOfTheTable) {
  const auto others = [](const Member& m) {
    std::set<std::string> out;
    for (const Conflict& c : Conflicts(m)) {
      out.insert(std::string(c.other.name));
      EXPECT_THAT(std::string(c.reason), HasSubstr("do not sum to 1")) << m.name;
    }
    return out;
  };
  EXPECT_EQ(others({"scores", "additive"}), std::set<std::string>());
  EXPECT_EQ(others({"normalisers", "sigmoid"}), (std::set<std::string>{"hard", "reinforce", "straight_through", "gumbel"}));
  EXPECT_EQ(others({"readouts", "hard"}), (std::set<std::string>{"sigmoid", "predictive"}));
  EXPECT_EQ(others({"readouts", "soft"}), std::set<std::string>());
}

TEST(Validate, AcceptsGroupedHeadsAndCausalWindows) {
  AttentionSpec s;
  s.heads = 8;
  s.key_value_heads = 2;
  s.causal = true;
  s.support = WindowSupport{4, 0};
  EXPECT_FALSE(Validate(s));
  s.support = WindowSupport{4, std::nullopt};  // unbounded on the right: causal bounds it
  EXPECT_FALSE(Validate(s));
  s.support = MonotonicSupport{4};  // whose right half is the future
  s.global_keys = 2;
  EXPECT_FALSE(Validate(s));
  EXPECT_EQ(s.KeyValueHeads(), 2);
  s.key_value_heads = 0;
  EXPECT_EQ(s.KeyValueHeads(), 8);
}

// Stands for the machinery of options: the declaration compiles against any visitor and names every field once.
struct Names {
  std::vector<std::string> names;
  struct Rest {
    Rest& Range(double, double) { return *this; }
  };
  template <class T>
  Rest operator()(const char* name, T, const char* help) {
    EXPECT_GT(std::string(help).size(), 5u);
    names.emplace_back(name);
    return {};
  }
};

TEST(Declare, NamesEveryFieldOnce) {
  Names fields;
  AttentionSpec::Declare(fields);
  EXPECT_THAT(fields.names, ::testing::ElementsAre("score", "score_vector", "scale", "learned_scale", "positions", "support", "global_keys",
                                                   "causal", "normaliser", "readout", "heads", "key_value_heads", "dropout", "coverage"));
  Names window;
  WindowSupport::Declare(window);
  EXPECT_THAT(window.names, ::testing::ElementsAre("left", "right"));
}

}  // namespace
}  // namespace attend::spec
