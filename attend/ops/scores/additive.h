#pragma once

#include <ATen/Parallel.h>
#include <ATen/ops/add.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tanh_backward.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "attend/kernels/scores/additive.h"
#include "attend/ops/composed_score.h"

namespace attend::ops {

// s_ij = v^T tanh(q_i + k_j), query and key projected before (Bahdanau et al. 2015, appendix A.1.2). v is (D), or (Hq, D) with one
// row a query head.
//
// tanh has R·N·Tk·D elements, so it is computed tile by tile and, in the backward pass, again: memory stays bounded whatever the
// lengths, and a tile stays in cache between the operations on it. Single precision on a CPU takes a kernel instead, which stores no
// tanh at all and is some five times as fast as torch's.
template <>
struct ComposedScore<spec::Score::additive> {
  static constexpr ScoreParameter kParameter = ScoreParameter::vector;
  static constexpr ScoreLayer kLayer = {.query = true, .key = true, .bias = true};
  static constexpr int64_t kTile = 1 << 17;  // elements

  static at::Tensor Forward(const ScoreArgs& a) {
    if (HasKernel(a)) return KernelForward(a);
    at::Tensor out = at::empty({a.query.size(0), a.query.size(1), a.key.size(1)}, a.query.options());
    const at::Tensor v = Vectors(a);
    ForEachTile(a, [&](const Tile& tile, const at::Tensor& t) {
      at::Tensor to = tile.Of(out);
      if (v.dim() == 1) {
        to.copy_(at::mv(t.view({-1, t.size(3)}), v).view(to.sizes()));
      } else {
        to.copy_(at::matmul(t, tile.Of(v).unsqueeze(3)).squeeze(3));
      }
    });
    return out;
  }

  // With t = tanh(q_i + k_j), ds = grad: dv = sum_ij ds t; h = ds v (1 - t^2); dq_i = sum_j h; dk_j = sum_i h.
  static ScoreGradients Backward(const ScoreArgs& a, const at::Tensor& grad, ScoreNeeds needs) {
    if (HasKernel(a)) return KernelBackward(a, grad, needs);
    const at::Tensor v = Vectors(a);
    const bool something = grad.numel() > 0;  // otherwise no tile writes anything
    ScoreGradients out;
    if (needs.query) out.query = something ? at::empty(a.query.sizes(), a.query.options()) : at::zeros(a.query.sizes(), a.query.options());
    if (needs.key) out.key = something ? at::empty(a.key.sizes(), a.key.options()) : at::zeros(a.key.sizes(), a.key.options());
    at::Tensor dv;  // like v
    if (needs.param) dv = at::zeros(v.sizes(), v.options());
    ForEachTile(a, [&](const Tile& tile, const at::Tensor& t) {
      const at::Tensor ds = tile.Of(grad);
      if (needs.param && v.dim() == 1) dv.addmv_(t.view({-1, t.size(3)}).t(), ds.reshape({-1}));
      if (needs.param && v.dim() == 3) tile.Of(dv).copy_(at::matmul(ds.unsqueeze(2), t).squeeze(2));
      if (!needs.query && !needs.key) return;
      const bool in_place = needs.key && a.query.size(1) == 1;  // one query: h is the key's gradient
      at::Tensor dk = needs.key ? out.key.narrow(0, tile.row, tile.rows) : at::Tensor();
      at::Tensor h = in_place ? dk.unsqueeze(1) : t;
      at::tanh_backward_out(h, ds.unsqueeze(3), t);
      h.mul_(v.dim() == 1 ? v : tile.Of(v).unsqueeze(2));
      if (needs.query) {
        at::Tensor dq = tile.Of(out.query);
        at::sum_out(dq, h, 2);
      }
      if (!needs.key || in_place) return;
      if (tile.query == 0) {
        at::sum_out(dk, h, 1);
      } else {
        dk.add_(h.sum(1));
      }
    });
    if (needs.param) out.param = (v.dim() == 1 ? dv : SumOfQueries(a, dv)).view(a.param.sizes());
    return out;
  }

 private:
  static bool HasKernel(const ScoreArgs& a) {
    const auto fits = [](const at::Tensor& t) { return t.device().is_cpu() && t.scalar_type() == at::kFloat; };
    return fits(a.query) && fits(a.key) && fits(a.param);
  }

  // The contiguous arguments of the kernels, one call a query.
  struct Pointers {
    at::Tensor query, key, param;
    int64_t rows, number, keys, dim, kv_heads, group, queries;
    bool shared;  // one v for all heads

    explicit Pointers(const ScoreArgs& a)
        : query(a.query.contiguous()),
          key(a.key.contiguous()),
          param(a.param.contiguous()),
          rows(a.query.size(0)),
          number(a.query.size(1)),
          keys(a.key.size(1)),
          dim(a.query.size(2)),
          kv_heads(a.kv_heads),
          group(a.heads / a.kv_heads),
          queries(a.queries),
          shared(a.param.dim() == 1 || a.param.size(0) == 1) {}
    int64_t Query(int64_t r, int64_t n) const { return (r * number + n) * dim; }
    int64_t Key(int64_t r) const { return r * keys * dim; }
    const float* V(int64_t r, int64_t n) const {
      return param.data_ptr<float>() + (shared ? 0 : (r % kv_heads * group + n / queries) * dim);
    }
  };

  static at::Tensor KernelForward(const ScoreArgs& a) {
    const Pointers p(a);
    at::Tensor out = at::empty({p.rows, p.number, p.keys}, a.query.options());
    at::parallel_for(0, p.rows, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++)
        for (int64_t n = 0; n < p.number; n++)
          kernels::AdditiveScores(p.query.data_ptr<float>() + p.Query(r, n), p.key.data_ptr<float>() + p.Key(r), p.V(r, n), p.keys, p.dim,
                                  out.data_ptr<float>() + (r * p.number + n) * p.keys);
    });
    return out;
  }

  static ScoreGradients KernelBackward(const ScoreArgs& a, const at::Tensor& grad, ScoreNeeds needs) {
    const Pointers p(a);
    const at::Tensor ds = grad.contiguous(), dq = at::zeros_like(p.query), dk = at::zeros_like(p.key);
    // Each row sums its own, so that the bits do not depend on the threads.
    const at::Tensor dv = at::zeros({p.rows, p.group, p.dim}, a.query.options());
    at::parallel_for(0, p.rows, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++)
        for (int64_t n = 0; n < p.number; n++)
          kernels::AdditiveGradients(p.query.data_ptr<float>() + p.Query(r, n), p.key.data_ptr<float>() + p.Key(r), p.V(r, n),
                                     ds.data_ptr<float>() + (r * p.number + n) * p.keys, p.keys, p.dim,
                                     dq.data_ptr<float>() + p.Query(r, n), dk.data_ptr<float>() + p.Key(r),
                                     dv.data_ptr<float>() + (r * p.group + n / p.queries) * p.dim);
    });
    ScoreGradients out;
    if (needs.query) out.query = dq;
    if (needs.key) out.key = dk;
    if (needs.param)
      out.param = (p.shared ? dv.sum(at::IntArrayRef{0, 1}) : dv.view({a.batch, a.heads, p.dim}).sum(0)).view(a.param.sizes());
    return out;
  }

  // v (D) where one vector serves all heads, else that of each query (R, N, D).
  static at::Tensor Vectors(const ScoreArgs& a) {
    if (a.param.dim() == 1 || a.heads == 1) return a.param.reshape({-1});
    const int64_t group = a.heads / a.kv_heads, dim = a.param.size(1);
    return a.param.reshape({1, a.kv_heads, group, 1, dim}).expand({a.batch, a.kv_heads, group, a.queries, dim}).reshape(a.query.sizes());
  }

  static at::Tensor SumOfQueries(const ScoreArgs& a, const at::Tensor& dv) {
    return dv.view({a.batch, a.heads, a.queries, dv.size(2)}).sum(at::IntArrayRef{0, 2});
  }

  struct Tile {
    int64_t row, rows, query, queries;
    bool all_queries;
    at::Tensor Of(const at::Tensor& t) const {  // (R, N, ...) -> (rows, queries, ...)
      const at::Tensor part = t.narrow(0, row, rows);
      return all_queries ? part : part.narrow(1, query, queries);
    }
  };

  // Calls f(tile, t) with t = tanh(q + k) (rows, queries, Tk, D) for tiles that cover everything; f may overwrite t.
  template <class F>
  static void ForEachTile(const ScoreArgs& a, F&& f) {
    const int64_t rows = a.query.size(0), queries = a.query.size(1), keys = a.key.size(1), dim = a.query.size(2);
    if (rows == 0 || queries == 0 || keys == 0) return;
    const int64_t pair = std::max<int64_t>(keys * dim, 1);
    const int64_t tile_queries = std::clamp<int64_t>(kTile / pair, 1, queries);
    const int64_t tile_rows = tile_queries < queries ? 1 : std::clamp<int64_t>(kTile / (pair * queries), 1, rows);
    const at::Tensor q = a.query.unsqueeze(2), k = a.key.unsqueeze(1);
    const at::Tensor buffer = at::empty({tile_rows * tile_queries, keys, dim}, a.query.options());
    for (int64_t r = 0; r < rows; r += tile_rows) {
      for (int64_t n = 0; n < queries; n += tile_queries) {
        const Tile tile{r, std::min(tile_rows, rows - r), n, std::min(tile_queries, queries - n), tile_queries == queries};
        at::Tensor t = buffer.narrow(0, 0, tile.rows * tile.queries).view({tile.rows, tile.queries, keys, dim});
        at::add_out(t, tile.Of(q), k.narrow(0, r, tile.rows));
        t.tanh_();
        f(tile, t);
      }
    }
  }
};

}  // namespace attend::ops
