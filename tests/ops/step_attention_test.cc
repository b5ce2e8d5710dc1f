#include "attend/ops/step_attention.h"

#include <torch/torch.h>

#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace attend::ops {
namespace {

using at::Tensor;

struct Case {
  std::string score;
  int64_t steps = 11;
  AttentionArgs args;
  int64_t first = 0;
  bool backwards = false;  // through the positions
  std::string name;
};

struct Leaves {
  Tensor query, key, value, param;  // query: (B, Hq, T, D)

  explicit Leaves(const Case& c, at::ScalarType type = at::kFloat) {
    torch::manual_seed(5);
    query = torch::randn({3, 4, c.steps, 32});
    key = torch::randn({3, 2, 13, 32});
    value = torch::randn({3, 2, 13, 16});
    if (c.score == "additive") param = torch::randn({4, 32});
    if (c.score == "cosine" || c.score == "euclidean") param = torch::rand({4}) + 0.5;
    for (Tensor* t : {&query, &key, &value, &param})
      if (t->defined()) *t = t->to(type).requires_grad_();
  }
  std::vector<Tensor> All() const {
    std::vector<Tensor> out = {query, key, value};
    if (param.defined()) out.push_back(param);
    return out;
  }
};

using Layer = std::function<Tensor(const Tensor& query, int64_t position)>;

// A loop in which each step reads what the last one gave.
Tensor Walk(const Case& c, const Leaves& x, const Layer& layer) {
  Tensor state = torch::zeros({3, 4, 1, 32}, x.query.scalar_type()), sum = torch::zeros({}, x.query.scalar_type());
  for (int64_t i = 0; i < c.steps; i++) {
    const int64_t t = c.backwards ? c.steps - 1 - i : i;
    const Tensor y = layer(x.query.slice(2, t, t + 1) + state, c.first + t);
    state = torch::tanh(torch::cat({y, y}, 3));
    sum = sum + (y * y).sum();
  }
  return sum + state.sum();
}

Layer Each(const Case& c, const Leaves& x, const PreparedKey& key) {
  return [&](const Tensor& query, int64_t position) {
    AttentionArgs args = c.args;
    args.score = c.score;
    args.query_offset = Number(position);
    return attention(query, key, x.value, args).output;
  };
}

Layer Waiting(const Case& c, const Leaves& x, const PreparedKey& key) {
  AttentionArgs args = c.args;
  args.score = c.score;
  const auto steps = std::make_shared<StepAttention>(key, x.value, args);
  return [steps](const Tensor& query, int64_t position) { return (*steps)(query, position); };
}

std::vector<Tensor> Gradients(const Tensor& loss, const std::vector<Tensor>& of, bool keep = false) {
  return torch::autograd::grad({loss}, of, {}, keep, false, true);
}

double Largest(const Tensor& t) { return t.abs().max().item<double>(); }

// allowed: absolute differences, one a tensor.
void ExpectNear(const std::vector<Tensor>& a, const std::vector<Tensor>& b, const std::vector<double>& allowed) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); i++) {
    ASSERT_TRUE(a[i].defined() && b[i].defined()) << i;
    EXPECT_LE(Largest(a[i] - b[i]), allowed[i]) << i;
    EXPECT_GT(Largest(b[i]), 0) << i;
  }
}

std::vector<Case> Cases() {
  std::vector<Case> out;
  for (const char* score : {"additive", "scaled_dot", "dot", "cosine", "euclidean"}) {
    const auto add = [&](const char* name, const std::function<void(Case&)>& change) {
      Case c;
      c.score = score;
      c.name = std::string(score) + ", " + name;
      change(c);
      out.push_back(c);
    };
    add("all keys", [](Case&) {});
    add("few steps", [](Case& c) { c.steps = 3; });
    add("lengths", [](Case& c) { c.args.key_lengths = torch::tensor({13, 1, 6}, torch::kLong); });
    add("window, from a later position", [](Case& c) { c.args.window_left = 3, c.args.window_right = 2, c.first = 2; });
    add("dropout, backwards", [](Case& c) {
      c.args.dropout_p = 0.4;
      c.args.seed = torch::tensor({7, 8, 9}, torch::kLong);
      c.backwards = true;
    });
  }
  return out;
}

TEST(StepAttention, GradientsEqualThoseOfSingleCalls) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    const Leaves x(c), exact(c, at::kDouble);
    const PreparedKey key = prepare(x.key, c.score, x.param), exact_key = prepare(exact.key, c.score, exact.param);
    const Tensor ours = Walk(c, x, Waiting(c, x, key)), each = Walk(c, x, Each(c, x, key));
    EXPECT_EQ(ours.item<float>(), each.item<float>());
    const std::vector<Tensor> expected = Gradients(Walk(c, exact, Each(c, exact, exact_key)), exact.All()),
                              single = Gradients(each, x.All());
    std::vector<double> allowed;  // as far off as single calls are, and roundings
    for (size_t i = 0; i < expected.size(); i++)
      allowed.push_back(2 * Largest(single[i] - expected[i]) + 1e-5 * (1 + Largest(expected[i])));
    ExpectNear(Gradients(ours, x.All()), expected, allowed);
  }
}

TEST(StepAttention, GradientsOfSome) {
  Case c;
  c.score = "additive";
  const Leaves x(c);
  const PreparedKey key = prepare(x.key, c.score, x.param);
  const Layer layer = Waiting(c, x, key);
  const Tensor loss = Walk(c, x, layer);
  const std::vector<Tensor> all = Gradients(loss, x.All(), /*keep=*/true);
  ExpectNear(Gradients(loss, {x.query}, true), {all[0]}, {0});
  ExpectNear(Gradients(loss, {x.key}, true), {all[1]}, {0});
  ExpectNear(Gradients(loss, {x.value, x.param}, true), {all[2], all[3]}, {0, 0});
  ExpectNear(Gradients(loss, x.All()), all, {0, 0, 0, 0});
}

// What is left out when nobody wants it changes nothing else, of single steps and of many queries at once.
TEST(StepAttention, OneGradientAtATimeOfEveryScore) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    const Leaves x(c);
    AttentionArgs args = c.args;
    args.score = c.score;
    const auto loss = [&] {
      const Tensor y = attention(x.query, prepare(x.key, c.score, x.param), x.value, args).output;
      return (y * y).sum();
    };
    const std::vector<Tensor> leaves = x.All(), all = Gradients(loss(), leaves);
    for (size_t i = 0; i < leaves.size(); i++) ExpectNear(Gradients(loss(), {leaves[i]}), {all[i]}, {0});
  }
}

TEST(StepAttention, SecondDerivativesAreRefused) {
  Case c;
  c.score = "scaled_dot";
  const Leaves x(c);
  const PreparedKey key = prepare(x.key, c.score, x.param);
  const Tensor loss = Walk(c, x, Waiting(c, x, key));
  EXPECT_THROW(torch::autograd::grad({loss}, {x.key}, {}, true, /*create_graph=*/true), c10::Error);
}

TEST(StepAttention, ServesWhatCanWait) {
  Case c;
  c.score = "scaled_dot";
  const Leaves x(c);
  const PreparedKey key = prepare(x.key, c.score, x.param);
  const auto serves = [&](const std::function<void(AttentionArgs&)>& change) {
    AttentionArgs args;
    args.score = c.score;
    change(args);
    return StepAttention::Serves(key, x.value, args);
  };
  EXPECT_TRUE(serves([](AttentionArgs&) {}));
  EXPECT_FALSE(serves([](AttentionArgs& a) { a.need_weights = true; }));
  EXPECT_FALSE(serves([](AttentionArgs& a) { a.normaliser = "sigmoid"; }));
  EXPECT_FALSE(serves([](AttentionArgs& a) { a.readout = "sample"; }));
  EXPECT_FALSE(serves([](AttentionArgs& a) { a.attn_bias = torch::zeros({13}); }));
  const at::NoGradGuard guard;
  EXPECT_FALSE(serves([](AttentionArgs&) {}));
}

}  // namespace
}  // namespace attend::ops
