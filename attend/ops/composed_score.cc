#include "attend/ops/composed_score.h"

#include <ATen/core/grad_mode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/autograd.h>

#include "attend/ops/scores.inc"

namespace attend::ops {
namespace {

// Differentiates a formula that brings no Backward of its own, inside a kernel that runs below autograd.
template <class S>
ScoreGradients ByAutograd(const ScoreArgs& args, const at::Tensor& grad, ScoreNeeds needs) {
  const c10::impl::LocalDispatchKeySet below = c10::impl::tls_local_dispatch_key_set();
  const c10::impl::ForceDispatchKeyGuard above(below.included_ | c10::DispatchKeySet(c10::DispatchKey::ADInplaceOrView),
                                               below.excluded_ - c10::autograd_dispatch_keyset_with_ADInplaceOrView);
  const at::AutoGradMode record(true);
  ScoreArgs leaf = args;
  std::vector<at::Tensor> inputs;
  const auto open = [&](at::Tensor& t, bool needed) {
    if (!t.defined()) return;
    t = t.detach();
    if (needed) inputs.push_back(t.requires_grad_());
  };
  open(leaf.query, needs.query);
  open(leaf.key, needs.key);
  open(leaf.param, needs.param);
  const auto found = torch::autograd::grad({S::Forward(leaf)}, inputs, {grad}, /*retain_graph=*/false, /*create_graph=*/false,
                                           /*allow_unused=*/true);
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
      return ByAutograd<S>(args, grad, needs);
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

}  // namespace attend::ops
