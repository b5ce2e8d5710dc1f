#pragma once

#include <c10/core/SymInt.h>
#include <c10/util/Exception.h>

#include <optional>

#include "attend/ops/call.h"
#include "attend/ops/composed_readout.h"
#include "attend/spec/mechanisms.h"

// One line "[part] expected …; found …", of which the caller gives what follows "expected"; a ValueError in Python.
#define ATTEND_EXPECT(condition, part, ...) TORCH_CHECK_VALUE(condition, "[", part, "] expected ", __VA_ARGS__)

namespace attend::ops {

// The sizes of a call, with symbolic ones under tracing.
struct Shape {
  c10::SymInt batch, heads, kv_heads;  // B, Hq, Hk
  c10::SymInt queries, keys;           // Tq, Tk: all of them when packed
  c10::SymInt dim, value_dim;          // D (0 with given scores), Dv
  std::optional<spec::Score> score;    // none: given scores
  spec::Normaliser normaliser = spec::Normaliser::softmax;
  OperatorReadout readout = OperatorReadout::soft;
  at::ScalarType dtype = at::kFloat, compute = at::kFloat;  // of value and output; of the arithmetic and lse
};

// Everything that can be wrong with a call and shows in shapes, dtypes and options. Used by every backend.
Shape Check(const Call& call);

// The part of it that concerns the arguments of attend::prepare.
void CheckPrepare(const at::Tensor& key, const std::string& score, const at::Tensor& param);

}  // namespace attend::ops
