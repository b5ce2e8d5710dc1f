#pragma once

#include <ATen/ops/add.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tanh_backward.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "attend/ops/composed_score.h"

namespace attend::ops {

// s_ij = v^T tanh(q_i + k_j), query and key projected before (Bahdanau et al. 2015, appendix A.1.2). v is (D), or (Hq, D) with one
// row a query head.
//
// tanh has R·N·Tk·D elements, so it is computed tile by tile and, in the backward pass, again: memory stays bounded whatever the
// lengths, and a tile stays in cache between the operations on it.
template <>
struct ComposedScore<spec::Score::additive> {
  static constexpr ScoreParameter kParameter = ScoreParameter::vector;
  static constexpr int64_t kTile = 1 << 17;  // elements

  static at::Tensor Forward(const ScoreArgs& a) {
    const at::Tensor out = at::empty({a.query.size(0), a.query.size(1), a.key.size(1)}, a.query.options());
    const at::Tensor v = HeadVectors(a);
    ForEachTile(a, [&](int64_t r, int64_t rows, int64_t n, int64_t queries, const at::Tensor& t) {
      const at::Tensor to = out.narrow(0, r, rows).narrow(1, n, queries);
      if (!v.defined()) {
        to.copy_(at::mv(t.view({-1, t.size(3)}), Vector(a)).view(to.sizes()));
      } else {
        const at::Tensor w = v.narrow(0, r, rows).narrow(1, n, queries).unsqueeze(3);  // (r, n, D, 1)
        to.copy_(at::matmul(t, w).squeeze(3));
      }
    });
    return out;
  }

  // With t = tanh(q_i + k_j), ds = grad: dv = sum_ij ds t; h = ds v (1 - t^2); dq_i = sum_j h; dk_j = sum_i h.
  static ScoreGradients Backward(const ScoreArgs& a, const at::Tensor& grad, ScoreNeeds needs) {
    const at::Tensor v = HeadVectors(a);
    ScoreGradients out;
    if (needs.query) out.query = at::empty(a.query.sizes(), a.query.options());
    if (needs.key) out.key = at::zeros(a.key.sizes(), a.key.options());
    at::Tensor dv;  // (D), or (R, N, D) summed over the queries of a head at the end
    if (needs.param) dv = v.defined() ? at::empty(a.query.sizes(), a.query.options()) : at::zeros({a.query.size(2)}, a.query.options());
    ForEachTile(a, [&](int64_t r, int64_t rows, int64_t n, int64_t queries, const at::Tensor& t) {
      const at::Tensor ds = grad.narrow(0, r, rows).narrow(1, n, queries);
      if (needs.param && !v.defined()) dv.addmv_(t.view({-1, t.size(3)}).t(), ds.reshape({-1}));
      if (needs.param && v.defined()) dv.narrow(0, r, rows).narrow(1, n, queries).copy_(at::matmul(ds.unsqueeze(2), t).squeeze(2));
      if (!needs.query && !needs.key) return;
      at::Tensor h = t;
      at::tanh_backward_out(h, ds.unsqueeze(3).expand_as(t), t);
      if (v.defined()) h.mul_(v.narrow(0, r, rows).narrow(1, n, queries).unsqueeze(2));
      if (needs.query) {
        at::Tensor dq = out.query.narrow(0, r, rows).narrow(1, n, queries);
        at::sum_out(dq, h, 2);
        if (!v.defined()) dq.mul_(Vector(a));
      }
      if (needs.key) out.key.narrow(0, r, rows).add_(queries == 1 ? h.squeeze(1) : h.sum(1));
    });
    if (needs.key && !v.defined()) out.key.mul_(Vector(a));
    if (needs.param) out.param = (v.defined() ? SumOfQueries(a, dv) : dv).view(a.param.sizes());
    return out;
  }

 private:
  static at::Tensor Vector(const ScoreArgs& a) { return a.param.reshape({-1}); }

  // v of every query (R, N, D) where heads differ; undefined where there is one vector for all.
  static at::Tensor HeadVectors(const ScoreArgs& a) {
    if (a.param.dim() == 1 || a.heads == 1) return {};
    const int64_t group = a.heads / a.kv_heads, dim = a.param.size(1);
    return a.param.view({1, a.kv_heads, group, 1, dim}).expand({a.batch, a.kv_heads, group, a.queries, dim}).reshape(a.query.sizes());
  }

  static at::Tensor SumOfQueries(const ScoreArgs& a, const at::Tensor& dv) {
    return dv.view({a.batch, a.heads, a.queries, dv.size(2)}).sum(at::IntArrayRef{0, 2});
  }

  // Calls f(first row, rows, first query, queries, t) with t = tanh(q + k) (rows, queries, Tk, D) for tiles that cover everything.
  template <class F>
  static void ForEachTile(const ScoreArgs& a, F&& f) {
    const int64_t rows = a.query.size(0), queries = a.query.size(1), keys = a.key.size(1), dim = a.query.size(2);
    if (rows == 0 || queries == 0 || keys == 0) return;
    const int64_t pair = std::max<int64_t>(keys * dim, 1);
    const int64_t queries_a_tile = std::clamp<int64_t>(kTile / pair, 1, queries);
    const int64_t rows_a_tile = queries_a_tile < queries ? 1 : std::clamp<int64_t>(kTile / (pair * queries), 1, rows);
    const at::Tensor buffer = at::empty({rows_a_tile * queries_a_tile * keys * dim}, a.query.options());
    for (int64_t r = 0; r < rows; r += rows_a_tile) {
      for (int64_t n = 0; n < queries; n += queries_a_tile) {
        const int64_t nr = std::min(rows_a_tile, rows - r), nn = std::min(queries_a_tile, queries - n);
        at::Tensor t = buffer.narrow(0, 0, nr * nn * keys * dim).view({nr, nn, keys, dim});
        at::add_out(t, a.query.narrow(0, r, nr).narrow(1, n, nn).unsqueeze(2), a.key.narrow(0, r, nr).unsqueeze(1));
        t.tanh_();
        f(r, nr, n, nn, t);
      }
    }
  }
};

}  // namespace attend::ops
