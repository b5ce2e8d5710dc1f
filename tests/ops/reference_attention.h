#pragma once

#include <torch/torch.h>

#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "attend/ops/attention.h"

// Attention written down once more, as loops over single numbers: what the tests compare the operator with.
namespace attend::ops::reference {

struct Reference {
  at::Tensor output, weights, lse;
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

inline bool Visible(const AttentionArgs& a, int64_t b, int64_t h, int64_t i, int64_t j) {
  const int64_t at = i + PerRow(a.query_offset, b, 0);
  if (j >= PerRow(a.key_lengths, b, std::numeric_limits<int64_t>::max())) return false;
  if (i >= PerRow(a.query_lengths, b, std::numeric_limits<int64_t>::max())) return false;
  if (a.is_causal && j > at) return false;
  if (a.window_left && j < at - *a.window_left) return false;
  if (a.window_right && j > at + *a.window_right) return false;
  return !a.attn_mask.defined() || At(a.attn_mask, {b, h, i, j}) != 0;
}

inline double Score(const AttentionArgs& a, const double* q, const double* k, const double* v, int64_t dim) {
  double s = 0;
  for (int64_t d = 0; d < dim; d++) s += a.score == "additive" ? v[d] * std::tanh(q[d] + k[d]) : q[d] * k[d];
  return a.score == "scaled_dot" ? s * a.scale.value_or(1 / std::sqrt(static_cast<double>(dim))) : s;
}

// query, key, value, param: float64, contiguous; no dropout, no packing.
inline Reference Attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const AttentionArgs& a) {
  const bool given = a.score == "given";
  const at::Tensor& shape = given ? a.scores : query;
  const int64_t batch = shape.size(0), heads = shape.size(1), queries = shape.size(2), keys = value.size(2),
                dim = given ? 0 : query.size(3);
  const int64_t group = heads / value.size(1), value_dim = value.size(3);
  Reference out{torch::zeros({batch, heads, queries, value_dim}, torch::kDouble),
                torch::zeros({batch, heads, queries, keys}, torch::kDouble),
                torch::full({batch, heads, queries}, -std::numeric_limits<double>::infinity(), torch::kDouble)};
  for (int64_t b = 0; b < batch; b++)
    for (int64_t h = 0; h < heads; h++)
      for (int64_t i = 0; i < queries; i++) {
        const auto row = [&](int64_t j) {
          return !a.key_rows.defined() ? b : a.key_rows.dim() == 1 ? a.key_rows[b].item<int64_t>() : a.key_rows[b][j].item<int64_t>();
        };
        std::vector<double> e(keys, 0);
        double sum = 0;
        for (int64_t j = 0; j < keys; j++) {
          if (!Visible(a, b, h, i, j)) continue;
          double s;
          if (given) {
            s = a.scores[b][h][i][j].item<double>();
          } else {
            const double* v = !a.param.defined() ? nullptr : a.param.data_ptr<double>() + (a.param.dim() == 2 ? h * dim : 0);
            s = Score(a, query.data_ptr<double>() + ((b * heads + h) * queries + i) * dim,
                      key.data_ptr<double>() + ((row(j) * key.size(1) + h / group) * keys + j) * dim, v, dim);
          }
          if (a.attn_bias.defined()) s += At(a.attn_bias, {b, h, i, j});
          e[j] = std::exp(s);
          sum += e[j];
        }
        if (sum == 0) continue;
        out.lse[b][h][i] = std::log(sum);
        for (int64_t j = 0; j < keys; j++) {
          if (e[j] == 0) continue;
          out.weights[b][h][i][j] = e[j] / sum;
          for (int64_t d = 0; d < value_dim; d++) out.output[b][h][i][d] += e[j] / sum * value[row(j)][h / group][j][d].item<double>();
        }
      }
  return out;
}

}  // namespace attend::ops::reference
