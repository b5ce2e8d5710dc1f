#include "attend/ops/composed_score.h"

#include <ATen/TensorOperators.h>

#include "attend/ops/by_autograd.h"
#include "attend/ops/scores.inc"

namespace attend::ops {
namespace {

// Differentiates a formula that brings no Backward of its own.
template <class S>
ScoreGradients OfForward(const ScoreArgs& args, const at::Tensor& grad, ScoreNeeds needs) {
  ScoreArgs leaf = args;
  std::vector<at::Tensor*> wanted;
  for (const auto& [t, needed] :
       {std::pair(&leaf.query, needs.query), std::pair(&leaf.key, needs.key), std::pair(&leaf.param, needs.param)}) {
    if (t->defined()) *t = t->detach();
    if (needed) wanted.push_back(t);
  }
  std::vector<at::Tensor> inputs;
  for (const at::Tensor* t : wanted) inputs.push_back(*t);
  const auto forward = [&](const std::vector<at::Tensor>& x) {
    for (size_t i = 0; i < x.size(); i++) *wanted[i] = x[i];
    return S::Forward(leaf);
  };
  const std::vector<at::Tensor> found = ByAutograd(forward, inputs, grad);
  ScoreGradients out;
  size_t i = 0;
  if (needs.query) out.query = found[i++];
  if (needs.key) out.key = found[i++];
  if (needs.param) out.param = found[i++];
  return out;
}

// f of the score chosen at run time.
template <class F>
auto Visit(spec::Score score, F&& f) {
  switch (score) {
#define ATTEND_SCORE(name, ...) \
  case spec::Score::name:       \
    return f(ComposedScore<spec::Score::name>{});
#include "attend/spec/scores.def"
#undef ATTEND_SCORE
  }
  return f(ComposedScore<spec::Score::dot>{});  // not reached: the list is complete
}

}  // namespace

at::Tensor ScoreForward(spec::Score score, const ScoreArgs& args) {
  return Visit(score, [&](auto s) -> at::Tensor {
    if constexpr (requires { s.kInstead; }) {
      TORCH_INTERNAL_ASSERT(false, "refused by Check");
    } else {
      return s.Forward(args);
    }
  });
}

ScoreGradients ScoreBackward(spec::Score score, const ScoreArgs& args, const at::Tensor& grad, ScoreNeeds needs) {
  return Visit(score, [&](auto s) -> ScoreGradients {
    using S = decltype(s);
    if constexpr (requires { s.kInstead; }) {
      TORCH_INTERNAL_ASSERT(false, "refused by Check");
    } else if constexpr (requires { S::Backward(args, grad, needs); }) {
      return S::Backward(args, grad, needs);
    } else {
      return OfForward<S>(args, grad, needs);
    }
  });
}

ScoreParameter ParameterOf(spec::Score score) {
  return Visit(score, [](auto s) {
    if constexpr (requires { s.kInstead; }) {
      return ScoreParameter::none;
    } else {
      return s.kParameter;
    }
  });
}

std::string_view ScoreInstead(spec::Score score) {
  return Visit(score, [](auto s) -> std::string_view {
    if constexpr (requires { s.kInstead; }) {
      return s.kInstead;
    } else {
      return {};
    }
  });
}

ScoreLayer LayerOf(spec::Score score) {
  ScoreLayer layer = Visit(score, [](auto s) {
    if constexpr (requires { s.kLayer; }) {
      return s.kLayer;
    } else {
      return ScoreLayer{};
    }
  });
  if (layer.score.empty()) layer.score = Name(score);
  return layer;
}

double UsualScale(spec::Score score, int64_t dim) {
  return Visit(score, [&](auto s) {
    if constexpr (requires { s.Scale(dim); }) {
      return s.Scale(dim);
    } else {
      return 1.0;
    }
  });
}

at::Tensor ScaleOfQueries(const ScoreArgs& a) {
  if (a.param.dim() == 0 || a.heads == 1) return a.param.reshape({1, 1, 1});
  const int64_t group = a.heads / a.kv_heads;
  return a.param.reshape({1, a.kv_heads, group, 1}).expand({a.batch, a.kv_heads, group, a.queries}).reshape({a.query.size(0), -1, 1});
}

at::Tensor SumOfScale(const ScoreArgs& a, const at::Tensor& of_queries) {
  if (a.param.dim() == 0) return of_queries.sum();
  return of_queries.reshape({a.batch, a.heads, a.queries}).sum(at::IntArrayRef{0, 2});
}

}  // namespace attend::ops
