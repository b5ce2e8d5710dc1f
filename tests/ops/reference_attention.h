#pragma once

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "attend/kernels/random.h"
#include "attend/ops/attention.h"

// Attention written down once more, as loops over single numbers: what the tests compare the operator with.
namespace attend::ops::reference {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Reference {
  at::Tensor output, weights, lse, sample, sample_logp;
};

inline double At(const at::Tensor& t, std::initializer_list<int64_t> index) {  // with broadcasting of size-1 dimensions
  at::Tensor x = t;
  const std::vector<int64_t> i(index);
  const int64_t skip = static_cast<int64_t>(i.size()) - t.dim();
  for (int64_t d = 0; d < t.dim(); d++) x = x[x.size(0) == 1 ? 0 : i[d + skip]];
  return x.item<double>();
}

inline int64_t PerRow(const at::Tensor& t, int64_t b, int64_t otherwise) {
  return !t.defined() ? otherwise : t.dim() == 0 ? t.item<int64_t>() : t[b].item<int64_t>();
}

inline bool Local(const AttentionArgs& a, int64_t i, int64_t j) {
  if (a.window_left && j < i - *a.window_left) return false;
  if (a.window_right && j > i + *a.window_right) return false;
  if (!a.block_size) return true;
  const int64_t behind = i / *a.block_size - j / *a.block_size;
  return behind >= 0 && behind <= a.look_back.value_or(0);
}

inline bool Visible(const AttentionArgs& a, int64_t b, int64_t h, int64_t i, int64_t j) {
  const int64_t at = i + PerRow(a.query_offset, b, 0);
  if (j >= PerRow(a.key_lengths, b, std::numeric_limits<int64_t>::max())) return false;
  if (i >= PerRow(a.query_lengths, b, std::numeric_limits<int64_t>::max())) return false;
  if (a.is_causal && j > at) return false;
  const bool everywhere = a.global_keys.defined() && (a.global_keys.dim() == 1 ? a.global_keys[j] : a.global_keys[b][j]).item<bool>();
  if (!everywhere && !Local(a, at, j)) return false;
  if (a.centers.defined() && std::abs(static_cast<double>(j) - a.centers[b][h][i].item<double>()) > *a.half_width) return false;
  return !a.attn_mask.defined() || At(a.attn_mask, {b, h, i, j}) != 0;
}

inline double Score(const AttentionArgs& a, const double* q, const double* k, const double* param, int64_t dim) {
  double s = 0, qq = 0, kk = 0, difference = 0;
  for (int64_t d = 0; d < dim; d++) {
    s += a.score == "additive" ? param[d] * std::tanh(q[d] + k[d]) : q[d] * k[d];
    qq += q[d] * q[d];
    kk += k[d] * k[d];
    difference += (q[d] - k[d]) * (q[d] - k[d]);
  }
  if (a.score == "scaled_dot") return s * a.scale.value_or(1 / std::sqrt(static_cast<double>(dim)));
  if (a.score == "cosine") return qq == 0 || kk == 0 ? 0 : *param * s / std::sqrt(qq) / std::sqrt(kk);
  if (a.score == "euclidean") return -*param * difference;
  return s;
}

// The tau for which the weights sum to 1, by halving an interval that holds it; weight falls with tau.
inline double Root(const std::vector<double>& s, double low, double high, const std::function<double(double)>& weight) {
  for (int n = 0; n < 200; n++) {
    const double tau = (low + high) / 2;
    double sum = 0;
    for (double x : s) sum += weight(x - tau);
    (sum > 1 ? low : high) = tau;
  }
  return (low + high) / 2;
}

// s: -inf where invisible, and somewhere not.
inline std::vector<double> Normalise(const std::string& normaliser, const std::vector<double>& s) {
  const double most = *std::max_element(s.begin(), s.end());
  std::vector<double> w(s.size(), 0);
  double sum = 0;
  int64_t visible = 0;
  for (double x : s) {
    sum += std::exp(x - most);
    visible += x > -kInfinity;
  }
  const auto linear = [](double x) { return std::max(x, 0.0); };
  const auto square = [](double x) { return x > 0 ? x * x : 0; };
  if (normaliser == "softmax") {
    for (size_t j = 0; j < s.size(); j++) w[j] = std::exp(s[j] - most) / sum;
  } else if (normaliser == "sigmoid") {
    for (size_t j = 0; j < s.size(); j++) w[j] = s[j] == -kInfinity ? 0 : 1 / (1 + std::exp(std::log(static_cast<double>(visible)) - s[j]));
  } else if (normaliser == "sparsemax") {
    const double tau = Root(s, most - 1, most, linear);
    for (size_t j = 0; j < s.size(); j++) w[j] = linear(s[j] - tau);
  } else {
    std::vector<double> half = s;
    for (double& x : half) x /= 2;
    const double tau = Root(half, most / 2 - 1, most / 2, square);
    for (size_t j = 0; j < s.size(); j++) w[j] = square(half[j] - tau);
  }
  return w;
}

// A draw of a Gumbel distribution for key j of query i.
inline double Gumbel(const AttentionArgs& a, int64_t b, int64_t h, int64_t i, int64_t j) {
  const int64_t at = i + PerRow(a.query_offset, b, 0);
  const auto words = random::Philox({{static_cast<uint32_t>(j / 4), static_cast<uint32_t>(at), static_cast<uint32_t>(h), 1}},
                                    static_cast<uint64_t>(PerRow(a.seed, b, 0)));
  return -std::log(-std::log((words.v[j % 4] + 0.5) / 4294967296.0));
}

// query, key, value, param: float64, contiguous; no dropout, no packing; seed (B) where the readout draws.
inline Reference Attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const AttentionArgs& a) {
  const bool given = a.score == "given";
  const at::Tensor& shape = given ? a.scores : query;
  const int64_t batch = shape.size(0), heads = shape.size(1), queries = shape.size(2), keys = value.size(2),
                dim = given ? 0 : query.size(3);
  const int64_t group = heads / value.size(1), value_dim = value.size(3);
  Reference out{torch::zeros({batch, heads, queries, value_dim}, torch::kDouble),
                torch::zeros({batch, heads, queries, keys}, torch::kDouble),
                torch::full({batch, heads, queries}, -kInfinity, torch::kDouble), torch::full({batch, heads, queries}, -1, torch::kLong),
                torch::zeros({batch, heads, queries}, torch::kDouble)};
  for (int64_t b = 0; b < batch; b++)
    for (int64_t h = 0; h < heads; h++)
      for (int64_t i = 0; i < queries; i++) {
        const auto row = [&](int64_t j) {
          return !a.key_rows.defined() ? b : a.key_rows.dim() == 1 ? a.key_rows[b].item<int64_t>() : a.key_rows[b][j].item<int64_t>();
        };
        std::vector<double> s(keys, -kInfinity);
        double sum = 0;
        for (int64_t j = 0; j < keys; j++) {
          if (!Visible(a, b, h, i, j)) continue;
          if (given) {
            s[j] = a.scores[b][h][i][j].item<double>();
          } else {
            const int64_t per_head = a.score == "additive" ? dim : 1;
            const bool has_heads = a.param.defined() && a.param.dim() == (a.score == "additive" ? 2 : 1);
            const double* param = !a.param.defined() ? nullptr : a.param.data_ptr<double>() + (has_heads ? h * per_head : 0);
            s[j] = Score(a, query.data_ptr<double>() + ((b * heads + h) * queries + i) * dim,
                         key.data_ptr<double>() + ((row(j) * key.size(1) + h / group) * keys + j) * dim, param, dim);
          }
          if (a.attn_bias.defined()) s[j] += At(a.attn_bias, {b, h, i, j});
          const int64_t distance = std::abs(j - i - PerRow(a.query_offset, b, 0));
          if (a.alibi_slopes.defined()) s[j] -= a.alibi_slopes[h].item<double>() * static_cast<double>(distance);
          sum += std::exp(s[j]);
        }
        if (std::all_of(s.begin(), s.end(), [](double x) { return x == -kInfinity; })) continue;
        out.lse[b][h][i] = std::log(sum);
        std::vector<double> w = Normalise(a.normaliser, s), read = w;
        int64_t chosen = -1;
        if (a.centers.defined())
          for (int64_t j = 0; j < keys; j++) {
            const double x = static_cast<double>(j) - a.centers[b][h][i].item<double>(), deviation = *a.half_width / 2;
            w[j] *= std::exp(-x * x / (2 * deviation * deviation));
          }
        read = w;
        if (a.readout != "soft") {
          std::vector<double> perturbed(keys, -kInfinity);
          for (int64_t j = 0; j < keys; j++)
            if (w[j] > 0) perturbed[j] = std::log(w[j]) + (a.readout == "argmax" ? 0 : Gumbel(a, b, h, i, j));
          chosen = std::max_element(perturbed.begin(), perturbed.end()) - perturbed.begin();
          const double most = perturbed[chosen];
          double total = 0;
          for (double x : perturbed) total += std::exp((x - most) / a.temperature);
          for (int64_t j = 0; j < keys; j++)
            read[j] = a.readout == "gumbel" ? std::exp((perturbed[j] - most) / a.temperature) / total : j == chosen;
          out.sample[b][h][i] = chosen;
          out.sample_logp[b][h][i] = std::log(w[chosen]);
        }
        for (int64_t j = 0; j < keys; j++) {
          out.weights[b][h][i][j] = w[j];
          if (read[j] == 0) continue;
          for (int64_t d = 0; d < value_dim; d++) out.output[b][h][i][d] += read[j] * value[row(j)][h / group][j][d].item<double>();
        }
      }
  return out;
}

}  // namespace attend::ops::reference
