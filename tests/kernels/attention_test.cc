#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "attend/kernels/attention/problem.h"
#include "attend/kernels/random.h"
#include "gtest/gtest.h"
#include "hwy/targets.h"

// The fused kernels against the definitions, written here once more in double: forward by value, backward by the change of a weighted sum
// of all results along random directions.
namespace attend::kernels::attention {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
using Doubles = std::vector<double>;
using Floats = std::vector<float>;

// One call: what it asks for, and its numbers as they are given.
struct Case {
  Score score = Score::dot;
  Normaliser normaliser = Normaliser::softmax;
  int64_t batch = 2, heads = 2, kv_heads = 1, queries = 5, keys = 7, dim = 3, value_dim = 4;
  float scale = 0.5f;
  bool causal = false, mask = false, bias = false, slopes = false, globals = false, weights = false, lse = false, shared_param = false,
       lengths = false;
  std::optional<int64_t> left, right, block, look_back;
  float half_width = 0;  // 0: no centres
  double dropout = 0;
  int64_t offset = 0;
  float spread = 1;  // of queries and keys
  std::string name;
};

struct Inputs {
  Doubles query, key, value, scores, param, bias, slopes, centers;
  std::vector<char> mask, globals;
  std::vector<int64_t> key_lengths, query_lengths;
  std::vector<uint64_t> draws;
};

std::vector<Doubles*> Differentiable(Inputs& x) { return {&x.query, &x.key, &x.value, &x.scores, &x.param, &x.bias, &x.centers}; }
constexpr const char* kNames[] = {"query", "key", "value", "scores", "param", "bias", "centers"};

struct Results {
  Doubles output, weights, lse;
  double margin = kInf;  // of sparsemax: how far the nearest score is from where its weight begins, and the gradient jumps
};

Doubles Draw(random::Stream& draws, int64_t n, double spread) {
  Doubles x(static_cast<size_t>(n));
  for (double& v : x) v = static_cast<float>(spread * (2 * draws.UniformDouble() - 1));
  return x;
}

Inputs MakeInputs(const Case& c, uint64_t seed) {
  random::Stream draws(seed);
  Inputs x;
  const int64_t pairs = c.batch * c.heads * c.queries * c.keys;
  if (c.score != Score::given) {
    x.query = Draw(draws, c.batch * c.heads * c.queries * c.dim, c.spread);
    x.key = Draw(draws, c.batch * c.kv_heads * c.keys * c.dim, c.spread);
  } else {
    x.scores = Draw(draws, pairs, 2);
  }
  x.value = Draw(draws, c.batch * c.kv_heads * c.keys * c.value_dim, 1);
  if (c.score == Score::additive) x.param = Draw(draws, (c.shared_param ? 1 : c.heads) * c.dim, 1);
  if (c.score == Score::cosine || c.score == Score::euclidean) {
    x.param = Draw(draws, c.shared_param ? 1 : c.heads, 0.3);
    for (double& p : x.param) p = static_cast<float>(p + 0.7);
  }
  if (c.bias) x.bias = Draw(draws, c.heads * c.queries * c.keys, 1);
  if (c.slopes) x.slopes = Draw(draws, c.heads, 0.2);
  if (c.half_width > 0) {
    x.centers = Draw(draws, c.batch * c.heads * c.queries, static_cast<double>(c.keys));
    for (double& p : x.centers) p = static_cast<float>(std::floor(std::abs(p)) + 0.2);  // away from where a key comes into sight
  }
  if (c.mask)
    for (int64_t i = 0; i < c.batch * c.queries * c.keys; i++) x.mask.push_back(draws.Uniform() < 0.7f);
  if (c.globals)
    for (int64_t j = 0; j < c.keys; j++) x.globals.push_back(draws.Uniform() < 0.2f);
  for (int64_t b = 0; b < c.batch; b++) {
    x.key_lengths.push_back(c.lengths ? std::max<int64_t>(0, c.keys - 1 - b * (c.keys / 2)) : c.keys);
    x.query_lengths.push_back(c.lengths ? std::max<int64_t>(0, c.queries - b) : c.queries);
    x.draws.push_back(random::RowKey(seed, 17, 0, static_cast<uint64_t>(b)));
  }
  return x;
}

bool Visible(const Case& c, const Inputs& x, int64_t b, int64_t h, int64_t i, int64_t j) {
  const int64_t at = c.offset + i;
  bool near = true;
  if (c.left) near = near && j >= at - *c.left;
  if (c.right) near = near && j <= at + *c.right;
  if (c.block) near = near && j / *c.block <= at / *c.block && j / *c.block >= at / *c.block - c.look_back.value_or(0);
  if (c.globals && x.globals[static_cast<size_t>(j)]) near = true;
  if (c.causal && j > at) return false;
  if (c.half_width > 0 && std::abs(static_cast<double>(j) - x.centers[static_cast<size_t>((b * c.heads + h) * c.queries + i)]) >
                              static_cast<double>(c.half_width))
    return false;
  if (c.mask && !x.mask[static_cast<size_t>((b * c.queries + i) * c.keys + j)]) return false;
  return near && j < x.key_lengths[static_cast<size_t>(b)] && i < x.query_lengths[static_cast<size_t>(b)];
}

double ScoreOf(const Case& c, const Inputs& x, int64_t b, int64_t h, int64_t i, int64_t j) {
  if (c.score == Score::given) return x.scores[static_cast<size_t>(((b * c.heads + h) * c.queries + i) * c.keys + j)];
  const double* q = x.query.data() + ((b * c.heads + h) * c.queries + i) * c.dim;
  const double* k = x.key.data() + ((b * c.kv_heads + h / (c.heads / c.kv_heads)) * c.keys + j) * c.dim;
  const double* param = x.param.empty() ? nullptr : x.param.data() + (c.shared_param ? 0 : h * (c.score == Score::additive ? c.dim : 1));
  double dot = 0, qq = 0, kk = 0, sum = 0, distance = 0;
  for (int64_t d = 0; d < c.dim; d++) {
    dot += q[d] * k[d];
    qq += q[d] * q[d];
    kk += k[d] * k[d];
    distance += (q[d] - k[d]) * (q[d] - k[d]);
    if (c.score == Score::additive) sum += param[d] * std::tanh(q[d] + k[d]);
  }
  switch (c.score) {
    case Score::dot:
      return static_cast<double>(c.scale) * dot;
    case Score::cosine:
      return qq == 0 || kk == 0 ? 0 : *param * dot / std::sqrt(qq * kk);
    case Score::euclidean:
      return -*param * distance;
    default:
      return sum;
  }
}

// Weights of a row of scores, of which -inf is hidden; returns its lse.
double Normalise(Normaliser normaliser, Doubles& s, double& margin) {
  double most = -kInf, n = 0;
  for (double v : s) {
    most = std::max(most, v);
    n += v > -kInf;
  }
  if (most == -kInf) {
    std::fill(s.begin(), s.end(), 0);
    return -kInf;
  }
  double sum = 0;
  for (double v : s) sum += std::exp(v - most);
  if (normaliser == Normaliser::softmax || normaliser == Normaliser::sigmoid) {
    for (double& v : s) v = normaliser == Normaliser::softmax ? std::exp(v - most) / sum : v == -kInf ? 0 : 1 / (1 + n * std::exp(-v));
    return most + std::log(sum);
  }
  const bool sparse = normaliser == Normaliser::sparsemax;
  const auto weight = [&](double v, double tau) {
    const double z = std::max((sparse ? v - most : (v - most) / 2) - tau, 0.0);
    return sparse ? z : z * z;
  };
  double low = -1, high = 0;  // by bisection
  for (int step = 0; step < 200; step++) {
    const double tau = (low + high) / 2;
    double total = 0;
    for (double v : s) total += weight(v, tau);
    (total > 1 ? low : high) = tau;
  }
  for (double& v : s) {
    if (sparse) margin = std::min(margin, std::abs(v - most - low));
    v = weight(v, low);
  }
  return most + std::log(sum);
}

Results Reference(const Case& c, const Inputs& x) {
  Results out;
  out.output.assign(static_cast<size_t>(c.batch * c.heads * c.queries * c.value_dim), 0);
  for (int64_t b = 0; b < c.batch; b++)
    for (int64_t h = 0; h < c.heads; h++)
      for (int64_t i = 0; i < c.queries; i++) {
        Doubles w(static_cast<size_t>(c.keys));
        for (int64_t j = 0; j < c.keys; j++) {
          w[static_cast<size_t>(j)] = -kInf;
          if (!Visible(c, x, b, h, i, j)) continue;
          w[static_cast<size_t>(j)] = ScoreOf(c, x, b, h, i, j) +
                                      (c.bias ? x.bias[static_cast<size_t>((h * c.queries + i) * c.keys + j)] : 0) -
                                      (c.slopes ? x.slopes[static_cast<size_t>(h)] * static_cast<double>(std::abs(c.offset + i - j)) : 0);
        }
        out.lse.push_back(Normalise(c.normaliser, w, out.margin));
        const random::Dropout dropout(c.dropout);
        double* o = out.output.data() + ((b * c.heads + h) * c.queries + i) * c.value_dim;
        for (int64_t j = 0; j < c.keys; j++) {
          double& weight = w[static_cast<size_t>(j)];
          if (c.half_width > 0) {
            const double distance = static_cast<double>(j) - x.centers[static_cast<size_t>((b * c.heads + h) * c.queries + i)];
            weight *= std::exp(-2 * distance * distance / (static_cast<double>(c.half_width) * static_cast<double>(c.half_width)));
          }
          double read = weight;
          if (c.dropout > 0) {
            const auto draws = random::Dropout::Draws(x.draws[static_cast<size_t>(b)], static_cast<uint32_t>(j / 8),
                                                      static_cast<uint32_t>(c.offset + i), static_cast<uint32_t>(h), 0);
            read = draws[static_cast<size_t>(j % 8)] < dropout.threshold ? 0 : read * static_cast<double>(dropout.scale);
          }
          const double* v = x.value.data() + ((b * c.kv_heads + h / (c.heads / c.kv_heads)) * c.keys + j) * c.value_dim;
          for (int64_t d = 0; d < c.value_dim; d++) o[d] += read * v[d];
        }
        out.weights.insert(out.weights.end(), w.begin(), w.end());
      }
  return out;
}

Floats Float(const Doubles& x) { return Floats(x.begin(), x.end()); }

void Serial(int64_t tasks, const std::function<void(int64_t)>& body) {
  for (int64_t t = 0; t < tasks; t++) body(t);
}

// A case as the kernels take it.
struct Call {
  Problem p;
  Floats query, key, value, scores, param, bias, slopes, centers;
  std::vector<char> mask, globals;

  Call(const Case& c, const Inputs& x)
      : query(Float(x.query)),
        key(Float(x.key)),
        value(Float(x.value)),
        scores(Float(x.scores)),
        param(Float(x.param)),
        bias(Float(x.bias)),
        slopes(Float(x.slopes)),
        centers(Float(x.centers)),
        mask(x.mask),
        globals(x.globals) {
    p.score = c.score;
    p.normaliser = c.normaliser;
    p.heads = c.heads;
    p.kv_heads = c.kv_heads;
    p.dim = c.score == Score::given ? 0 : c.dim;
    p.value_dim = c.value_dim;
    for (int64_t b = 0; b < c.batch; b++) {
      Sequence s;
      s.index = s.row = b;
      s.queries = c.queries;
      s.keys = c.keys;
      s.seeing = x.query_lengths[static_cast<size_t>(b)];
      s.seen = x.key_lengths[static_cast<size_t>(b)];
      s.offset = c.offset;
      s.draws = x.draws[static_cast<size_t>(b)];
      p.sequences.push_back(s);
    }
    p.query = {query.data(), Element::float32, c.heads * c.queries * c.dim, c.queries * c.dim, c.dim};
    p.key = {key.data(), Element::float32, c.kv_heads * c.keys * c.dim, c.keys * c.dim, c.dim};
    p.value = {value.data(), Element::float32, c.kv_heads * c.keys * c.value_dim, c.keys * c.value_dim, c.value_dim};
    p.scores = {scores.data(), Element::float32, c.heads * c.queries * c.keys, c.queries * c.keys, c.keys};
    p.param = param.data();
    p.param_head = c.shared_param ? 0 : c.score == Score::additive ? c.dim : 1;
    p.scale = c.scale;
    p.causal = c.causal;
    p.window_left = c.left;
    p.window_right = c.right;
    p.block_size = c.block;
    p.look_back = c.look_back;
    if (c.globals) p.global_keys = reinterpret_cast<const bool*>(globals.data());
    if (c.mask) p.mask = {reinterpret_cast<const bool*>(mask.data()), c.queries * c.keys, 0, c.keys, 1};
    if (c.bias) p.bias = {bias.data(), 0, c.queries * c.keys, c.keys, 1};
    if (c.slopes) p.slopes = slopes.data();
    if (c.half_width > 0) {
      p.centers = centers.data();
      p.centers_batch = c.heads * c.queries;
      p.centers_head = c.queries;
      p.half_width = c.half_width;
    }
    p.dropout = c.dropout;
  }
};

// Largest |s| that could arise, which bounds the rounding of a score.
double SizeWithoutSlopes(const Case& c, const Inputs& x) {
  if (c.score == Score::given) return 3;
  const double d = static_cast<double>(c.dim), s = static_cast<double>(c.spread);
  double param = 1;
  for (double v : x.param) param = std::max(param, std::abs(v));
  switch (c.score) {
    case Score::dot:
      return static_cast<double>(c.scale) * d * s * s;
    case Score::euclidean:
      return param * 4 * d * s * s;
    default:
      return param * (c.score == Score::additive ? d : 1);
  }
}
double ScoreSize(const Case& c, const Inputs& x) {
  return SizeWithoutSlopes(c, x) + (c.slopes ? 0.2 * static_cast<double>(c.queries + c.keys + c.offset) : 0);
}

class Attention : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }

  static void Check(const Case& c, uint64_t seed) {
    SCOPED_TRACE(c.name);
    Inputs x = MakeInputs(c, seed);
    Results expected = Reference(c, x);
    for (int i = 1; expected.margin < 1e-6 * (4 + ScoreSize(c, x)); i++) {
      ASSERT_LT(i, 50);
      x = MakeInputs(c, seed + 10000 * static_cast<uint64_t>(i));
      expected = Reference(c, x);
    }
    Call call(c, x);
    const int64_t rows = c.batch * c.heads * c.queries;
    Floats output(expected.output.size(), 7), weights(expected.weights.size(), 0), lse(expected.lse.size(), 7);
    Outputs out;
    out.output = {output.data(), Element::float32, c.heads * c.queries * c.value_dim, c.queries * c.value_dim, c.value_dim};
    if (c.weights) out.weights = {weights.data(), Element::float32, c.heads * c.queries * c.keys, c.queries * c.keys, c.keys};
    if (c.normaliser == Normaliser::softmax) out.lse = lse.data();
    out.batch = c.heads * c.queries;
    out.head = c.queries;
    Forward(call.p, out, Serial);
    // A score is off by at most a few roundings of its size, a weight by that relative to itself; weights sum to about 1.
    const double size = ScoreSize(c, x), eps = 0x1p-23 * (4 + size) * 2;
    const double of_values = static_cast<double>(c.dropout > 0 ? 1 / (1 - c.dropout) : 1) *
                             (c.normaliser == Normaliser::sigmoid ? static_cast<double>(c.keys) : 1);
    for (size_t i = 0; i < output.size(); i++) ASSERT_NEAR(output[i], expected.output[i], eps * of_values) << "output " << i;
    for (size_t i = 0; c.weights && i < weights.size(); i++) ASSERT_NEAR(weights[i], expected.weights[i], eps) << "weights " << i;
    for (int64_t i = 0; out.lse && i < rows; i++) {
      const auto at = static_cast<size_t>(i);
      if (expected.lse[at] == -kInf) {
        ASSERT_EQ(lse[at], -std::numeric_limits<float>::infinity());
      } else {
        ASSERT_NEAR(lse[at], expected.lse[at], eps * 4) << "lse " << i;
      }
    }
    CheckGradients(c, x, call, expected, output, lse, seed);
  }

  static void CheckGradients(const Case& c, Inputs& x, Call& call, const Results& expected, const Floats& output, const Floats& lse,
                             uint64_t seed) {
    random::Stream draws(seed + 1000);
    const Doubles a = Draw(draws, static_cast<int64_t>(expected.output.size()), 1);
    const Doubles b = c.weights ? Draw(draws, static_cast<int64_t>(expected.weights.size()), 1) : Doubles();
    const Doubles l = c.lse ? Draw(draws, static_cast<int64_t>(expected.lse.size()), 1) : Doubles();
    const auto loss = [&](const Inputs& in) {
      const Results r = Reference(c, in);
      double sum = 0;
      for (size_t i = 0; i < a.size(); i++) sum += a[i] * r.output[i];
      for (size_t i = 0; i < b.size(); i++) sum += b[i] * r.weights[i];
      for (size_t i = 0; i < l.size(); i++) sum += r.lse[i] == -kInf ? 0 : l[i] * r.lse[i];
      return sum;
    };
    const Floats da = Float(a), db = Float(b), dl = Float(l);
    Gradients g;
    g.output_grad = {da.data(), Element::float32, c.heads * c.queries * c.value_dim, c.queries * c.value_dim, c.value_dim};
    if (c.weights) g.weights_grad = {db.data(), Element::float32, c.heads * c.queries * c.keys, c.queries * c.keys, c.keys};
    if (c.lse) g.lse_grad = dl.data();
    if (c.normaliser == Normaliser::softmax) {
      g.output = {output.data(), Element::float32, c.heads * c.queries * c.value_dim, c.queries * c.value_dim, c.value_dim};
      g.lse = lse.data();
    }
    g.batch = c.heads * c.queries;
    g.head = c.queries;
    Floats query(x.query.size(), 7), key(x.key.size(), 7), value(x.value.size(), 7), centers(x.centers.size(), 7);
    Floats pairs(static_cast<size_t>(c.batch * c.heads * c.queries * c.keys), 0);
    Floats param(static_cast<size_t>(x.param.empty() ? 0 : c.batch * c.heads * (c.score == Score::additive ? c.dim : 1)), 7);
    if (c.score != Score::given) {
      g.query = {query.data(), Element::float32, call.p.query.batch, call.p.query.head, call.p.query.position};
      g.key = {key.data(), Element::float32, call.p.key.batch, call.p.key.head, call.p.key.position};
    }
    g.value = {value.data(), Element::float32, call.p.value.batch, call.p.value.head, call.p.value.position};
    if (!param.empty()) g.param = param.data();
    g.scores = pairs.data();
    g.scores_batch = c.heads * c.queries * c.keys;
    g.scores_head = c.queries * c.keys;
    g.scores_query = c.keys;
    if (c.half_width > 0) g.centers = centers.data();
    Backward(call.p, g, Serial);
    Doubles of_bias(x.bias.size(), 0), of_param(x.param.size(), 0);
    for (size_t i = 0; i < pairs.size() && !of_bias.empty(); i++) of_bias[i % of_bias.size()] += static_cast<double>(pairs[i]);
    for (size_t i = 0; i < param.size(); i++) of_param[i % of_param.size()] += static_cast<double>(param[i]);
    const auto wide = [](const Floats& f) { return Doubles(f.begin(), f.end()); };
    const std::vector<Doubles> found = {wide(query), wide(key), wide(value),  x.scores.empty() ? Doubles() : wide(pairs),
                                        of_param,    of_bias,   wide(centers)};
    // One direction through all inputs at once; where that fails, each input alone says which.
    const auto inputs = Differentiable(x);
    std::vector<Doubles> directions, was;
    for (const Doubles* input : inputs) {
      directions.push_back(Draw(draws, static_cast<int64_t>(input->size()), 1));
      was.push_back(*input);
    }
    const auto off = [&](size_t from, size_t to) {  // by how much the change is wrong, in units of what roundings may do
      const double step = 1e-6;
      const auto at = [&](double t) {
        for (size_t n = from; n < to; n++)
          for (size_t i = 0; i < inputs[n]->size(); i++) (*inputs[n])[i] = was[n][i] + t * directions[n][i];
        return loss(x);
      };
      const double expected_change = (at(step) - at(-step)) / (2 * step);
      double change = 0, size = 0;
      for (size_t n = from; n < to; n++) {
        *inputs[n] = was[n];
        for (size_t i = 0; i < inputs[n]->size(); i++) {
          change += found[n][i] * directions[n][i];
          size += found[n][i] * found[n][i] * directions[n][i] * directions[n][i];
        }
      }
      // Roundings of single precision in every element, which add up like a random walk; the difference quotient has 1e-8 or so.
      const double eps = 0x1p-23 * (4 + ScoreSize(c, x)) * 8;
      return std::abs(change - expected_change) / (eps * std::sqrt(size) + 2e-6 * std::max(1.0, std::sqrt(size)));
    };
    if (off(0, inputs.size()) <= 1) return;
    for (size_t n = 0; n < inputs.size(); n++)
      if (!inputs[n]->empty()) {
        EXPECT_LE(off(n, n + 1), 1) << "gradient of " << kNames[n];
      }
    FAIL() << "the gradient of all inputs together";
  }

  static std::vector<Case> WithShapes(Case c) {
    std::vector<Case> out;
    const auto add = [&](int64_t queries, int64_t keys, int64_t dim, int64_t value_dim, int64_t heads, int64_t kv_heads) {
      Case one = c;
      one.queries = queries;
      one.keys = keys;
      one.dim = dim;
      one.value_dim = value_dim;
      one.heads = heads;
      one.kv_heads = kv_heads;
      one.name += " " + std::to_string(queries) + "x" + std::to_string(keys) + " D" + std::to_string(dim) + "/" +
                  std::to_string(value_dim) + " H" + std::to_string(heads) + "/" + std::to_string(kv_heads);
      out.push_back(one);
    };
    add(1, 1, 1, 1, 1, 1);
    add(5, 7, 3, 4, 2, 1);
    add(3, 70, 33, 65, 2, 1);  // few: keys are read where they lie
    add(2, 33, 70, 5, 3, 3);
    add(101, 67, 17, 5, 2, 2);
    add(13, 130, 70, 66, 3, 3);
    add(101, 130, 32, 16, 2, 1);  // queries, keys and values are read where they lie, unless some must not be looked at
    return out;
  }

  // Every score and normaliser with one change of everything else.
  static void Grid(const std::string& name, const std::function<void(Case&)>& change) {
    int cells = 0;
    for (Score score : {Score::dot, Score::cosine, Score::euclidean, Score::additive, Score::given})
      for (Normaliser normaliser : {Normaliser::softmax, Normaliser::sigmoid, Normaliser::sparsemax, Normaliser::entmax15}) {
        Case c;
        c.score = score;
        c.normaliser = normaliser;
        c.name = name + " score " + std::to_string(static_cast<int>(score)) + " normaliser " + std::to_string(static_cast<int>(normaliser));
        change(c);
        if (c.lse && normaliser != Normaliser::softmax) continue;
        for (const Case& one : WithShapes(c)) {
          Check(one, static_cast<uint64_t>(7 + cells++));
          if (HasFatalFailure()) return;
        }
      }
  }
};

TEST_P(Attention, AllKeys) {
  Grid("all", [](Case&) {});
}
TEST_P(Attention, Lengths) {
  Grid("lengths", [](Case& c) { c.lengths = true; });
}
TEST_P(Attention, Causal) {
  Grid("causal", [](Case& c) { c.causal = true; });
}
TEST_P(Attention, CausalAtAnOffset) {
  Grid("offset", [](Case& c) {
    c.causal = true;
    c.offset = 3;
    c.lengths = true;
  });
}
TEST_P(Attention, WindowAndGlobalKeys) {
  Grid("window", [](Case& c) {
    c.left = 2;
    c.right = 1;
    c.globals = true;
  });
}
TEST_P(Attention, Blocks) {
  Grid("block", [](Case& c) {
    c.block = 4;
    c.look_back = 1;
    c.causal = true;
  });
}
TEST_P(Attention, Centers) {
  Grid("centers", [](Case& c) { c.half_width = 5; });
}
TEST_P(Attention, MaskBiasAndWeights) {
  Grid("mask", [](Case& c) { c.mask = c.bias = c.weights = true; });
}
TEST_P(Attention, Bias) {
  Grid("bias", [](Case& c) { c.bias = c.shared_param = true; });
}
TEST_P(Attention, Slopes) {
  Grid("slopes", [](Case& c) {
    c.slopes = true;
    c.offset = 3;
  });
}
TEST_P(Attention, SlopesBiasAndCausality) {
  Grid("slopes, bias", [](Case& c) { c.slopes = c.bias = c.causal = true; });
}
TEST_P(Attention, LogOfTheSum) {
  Grid("lse", [](Case& c) { c.lse = c.causal = true; });
}
TEST_P(Attention, LogOfTheSumAndWeights) {
  Grid("lse, weights", [](Case& c) { c.lse = c.weights = true; });
}
TEST_P(Attention, Dropout) {
  Grid("dropout", [](Case& c) { c.dropout = 0.3; });
}
TEST_P(Attention, DropoutOfLocalWeights) {
  Grid("dropout, weights", [](Case& c) {
    c.dropout = 0.3;
    c.weights = c.causal = true;
    c.half_width = 9;
  });
}
// Additive scores beyond the range of the exponentials.
TEST_P(Attention, LargeQueriesAndKeys) {
  for (float spread : {25.0f, 60.0f}) {
    Case c;
    c.score = Score::additive;
    c.spread = spread;
    c.name = "large";
    for (const Case& one : WithShapes(c)) {
      Check(one, 5);
      if (HasFatalFailure()) return;
    }
  }
}

// Prepared keys give the bits of the keys themselves, forward and backward; those out of range are read anew.
TEST_P(Attention, PreparedKeys) {
  for (float spread : {1.0f, 40.0f}) {
    Case c;
    c.score = Score::additive;
    c.queries = 2;
    c.keys = 70;
    c.dim = 33;
    c.spread = spread;
    const Inputs x = MakeInputs(c, 11);
    Call call(c, x);
    Floats prepared(call.key.size(), 7), outputs[2], gradients[2];
    Prepare(call.p.key, c.batch, c.kv_heads, c.keys, c.dim, prepared.data(), Serial);
    const auto beyond = std::count_if(prepared.begin(), prepared.end(), [](float e) { return e != e; });
    EXPECT_EQ(beyond > 0, spread > 30);
    const Floats grad = Float(Doubles(static_cast<size_t>(c.batch * c.heads * c.queries * c.value_dim), 1));
    for (int i : {0, 1}) {
      if (i == 1) {
        call.p.prepared = call.p.key;
        call.p.prepared.data = prepared.data();
      }
      outputs[i].resize(grad.size());
      gradients[i].resize(call.query.size());
      Outputs out;
      out.output = {outputs[i].data(), Element::float32, c.heads * c.queries * c.value_dim, c.queries * c.value_dim, c.value_dim};
      Forward(call.p, out, Serial);
      Gradients g;
      g.output_grad = {grad.data(), Element::float32, out.output.batch, out.output.head, out.output.position};
      g.query = {gradients[i].data(), Element::float32, call.p.query.batch, call.p.query.head, call.p.query.position};
      Backward(call.p, g, Serial);
    }
    EXPECT_EQ(outputs[0], outputs[1]);
    EXPECT_EQ(gradients[0], gradients[1]);
    // What is read is what was prepared: another first number of a key in range changes the result.
    if (spread > 30) continue;
    prepared[0] *= 2;
    Outputs out;
    out.output = {outputs[1].data(), Element::float32, c.heads * c.queries * c.value_dim, c.queries * c.value_dim, c.value_dim};
    Forward(call.p, out, Serial);
    EXPECT_NE(outputs[0], outputs[1]);
  }
}

// A call on vectors of bfloat16, and its gradients.
struct LowRun {
  Floats output, lse, query, key, value, scores;  // scores: ds of every pair
};
uint16_t Upper(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return static_cast<uint16_t>(bits >> 16);
}
Floats Absolute(Floats x) {
  for (float& v : x) v = std::abs(v);
  return x;
}
LowRun RunLow(const Case& c, Call call, Floats output_grad, const Floats* output, LowProducts products) {
  std::vector<std::vector<uint16_t>> kept;
  const auto low = [&](const Floats& x, Vectors like) {
    kept.emplace_back();
    for (float v : x) kept.back().push_back(Upper(v));
    like.data = kept.back().data();
    like.type = Element::bfloat16;
    return like;
  };
  kept.reserve(4);
  Problem p = call.p;
  p.low_products = products;
  p.query = low(call.query, p.query);
  p.key = low(call.key, p.key);
  p.value = low(call.value, p.value);
  const int64_t rows = c.batch * c.heads * c.queries;
  LowRun run;
  run.output.resize(static_cast<size_t>(rows * c.value_dim));
  run.lse.resize(static_cast<size_t>(rows));
  run.query.resize(call.query.size());
  run.key.resize(call.key.size());
  run.value.resize(call.value.size());
  run.scores.resize(static_cast<size_t>(rows * c.keys));
  const auto like = [](Floats& to, const Vectors& v) { return MutableVectors{to.data(), Element::float32, v.batch, v.head, v.position}; };
  const Vectors of_output = {nullptr, Element::float32, c.heads * c.queries * c.value_dim, c.queries * c.value_dim, c.value_dim};
  Outputs out;
  out.output = like(run.output, of_output);
  out.batch = c.heads * c.queries;
  out.head = c.queries;
  const bool softmax = c.normaliser == Normaliser::softmax;
  if (softmax) out.lse = run.lse.data();
  Forward(p, out, Serial);
  Gradients g;
  g.output_grad = low(output_grad, of_output);
  g.batch = out.batch;
  g.head = out.head;
  if (softmax) {
    g.output = of_output;
    g.output.data = (output ? *output : run.output).data();
    g.lse = run.lse.data();
  }
  g.query = like(run.query, p.query);
  g.key = like(run.key, p.key);
  g.value = like(run.value, p.value);
  g.scores = run.scores.data();
  g.scores_batch = c.heads * c.queries * c.keys;
  g.scores_head = c.queries * c.keys;
  g.scores_query = c.keys;
  Backward(p, g, Serial);
  return run;
}

// Products of pairs of bfloat16: what is summed is off by the rounding of weights and of gradients of scores, 2^-8 of each at most.
TEST_P(Attention, PairsOfBfloat16) {
  if (GetParam() == HWY_AVX3 && !__builtin_cpu_supports("avx512bf16")) GTEST_SKIP() << "the processor has no such products";
  const auto check = [](const Case& c, uint64_t seed) {
    SCOPED_TRACE(c.name);
    Call call(c, MakeInputs(c, seed));
    random::Stream draws(seed);
    Floats grad = Float(Draw(draws, c.batch * c.heads * c.queries * c.value_dim, 1));
    for (Floats* x : {&call.query, &call.key, &call.value, &grad})
      for (float& v : *x) {
        const uint32_t bits = static_cast<uint32_t>(Upper(v)) << 16;
        std::memcpy(&v, &bits, 4);
      }
    Call absolute = call;
    absolute.value = Absolute(call.value);
    const LowRun single = RunLow(c, call, grad, nullptr, LowProducts::never),
                 paired = RunLow(c, call, grad, &single.output, LowProducts::always);
    const Floats values = RunLow(c, absolute, grad, nullptr, LowProducts::never).output;
    const Floats of_values = RunLow(c, call, Absolute(grad), &single.output, LowProducts::never).value;
    Floats of_queries(call.query.size()), of_keys(call.key.size());  // sums of |ds k| and |ds q|
    const int64_t group = c.heads / c.kv_heads;
    for (int64_t bh = 0; bh < c.batch * c.heads; bh++)
      for (int64_t i = 0; i < c.queries; i++)
        for (int64_t j = 0; j < c.keys; j++) {
          const float ds = c.scale * std::abs(single.scores[static_cast<size_t>((bh * c.queries + i) * c.keys + j)]);
          const int64_t q = (bh * c.queries + i) * c.dim, k = (bh / group * c.keys + j) * c.dim;
          for (int64_t d = 0; d < c.dim && ds != 0; d++) {
            of_queries[static_cast<size_t>(q + d)] += ds * std::abs(call.key[static_cast<size_t>(k + d)]);
            of_keys[static_cast<size_t>(k + d)] += ds * std::abs(call.query[static_cast<size_t>(q + d)]);
          }
        }
    const auto near = [&](const char* what, const Floats& found, const Floats& expected, const Floats& sizes, float rounding) {
      size_t wrong = 0, differ = 0;
      for (size_t i = 0; i < found.size(); i++) {
        wrong += found[i] != expected[i] && !(std::abs(found[i] - expected[i]) <= rounding * sizes[i] + 1e-6f * (1 + sizes[i]));
        differ += found[i] != expected[i];
      }
      EXPECT_EQ(wrong, 0) << what << " of " << found.size();
      return differ;
    };
    near("lse", paired.lse, single.lse, Absolute(single.lse), 0);
    const size_t differ =
        near("output", paired.output, single.output, values, 0x1p-8f) + near("query", paired.query, single.query, of_queries, 0x1p-8f) +
        near("key", paired.key, single.key, of_keys, 0x1p-8f) + near("value", paired.value, single.value, of_values, 0x1p-8f);
    EXPECT_GT(differ, 0);  // or no pairs were made
  };
  int cells = 0;
  const auto grid = [&](const char* name, const std::function<void(Case&)>& change) {
    for (Normaliser normaliser : {Normaliser::softmax, Normaliser::sigmoid, Normaliser::entmax15})
      for (const bool in_place : {false, true}) {
        Case c;
        c.name = std::string(name) + (in_place ? " in place" : "") + " normaliser " + std::to_string(static_cast<int>(normaliser));
        c.normaliser = normaliser;
        c.queries = 101;
        c.keys = 131;
        c.dim = in_place ? 64 : 70;
        c.value_dim = in_place ? 32 : 66;
        change(c);
        check(c, static_cast<uint64_t>(50 + cells++));
      }
  };
  grid("all", [](Case&) {});
  grid("causal, lengths", [](Case& c) { c.causal = c.lengths = true; });
  grid("window", [](Case& c) { c.left = 9, c.right = 3; });
  grid("dropout, centres", [](Case& c) { c.dropout = 0.3, c.half_width = 40; });
  grid("mask, bias", [](Case& c) { c.mask = c.bias = true; });
  Case c;  // more keys than a span holds
  c.name = "long";
  c.queries = 200;
  c.keys = 1090;
  c.dim = 16;
  c.value_dim = 130;
  check(c, 49);
}

// Several spans and shares: more keys than one holds, more queries than one takes.
TEST_P(Attention, Long) {
  for (Score score : {Score::dot, Score::additive, Score::euclidean}) {
    Case c;
    c.score = score;
    c.batch = 1;
    c.heads = c.kv_heads = 1;
    c.queries = 1100;
    c.keys = 300;
    c.dim = 5;
    c.value_dim = 3;
    c.left = 40;
    c.right = 600;
    c.lse = true;
    c.name = "long";
    Check(c, 3);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Attention, testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& target) { return std::string(hwy::TargetName(target.param)); });

}  // namespace
}  // namespace attend::kernels::attention
