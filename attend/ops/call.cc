#include "attend/ops/call.h"

#include <c10/util/irange.h>

#include <initializer_list>

namespace attend::ops {
namespace {

using c10::IValue;

IValue ToIValue(const at::Tensor& t) { return t.defined() ? IValue(t) : IValue(); }
IValue ToIValue(const std::optional<double>& x) { return x ? IValue(*x) : IValue(); }
IValue ToIValue(const std::optional<c10::SymInt>& x) { return x ? IValue(*x) : IValue(); }
IValue ToIValue(const std::string& x) { return IValue(x); }
IValue ToIValue(bool x) { return IValue(x); }
IValue ToIValue(double x) { return IValue(x); }

void Read(const IValue& v, at::Tensor& out) { out = v.isNone() ? at::Tensor() : v.toTensor(); }
void Read(const IValue& v, std::optional<double>& out) { out = v.isNone() ? std::nullopt : std::optional(v.toDouble()); }
void Read(const IValue& v, std::optional<c10::SymInt>& out) { out = v.isNone() ? std::nullopt : std::optional(v.toSymInt()); }
void Read(const IValue& v, std::string& out) { out = v.toStringRef(); }
void Read(const IValue& v, bool& out) { out = v.toBool(); }
void Read(const IValue& v, double& out) { out = v.toDouble(); }

constexpr size_t kTensors =
    std::initializer_list<const char*>{
#define ATTEND_TENSOR(name) #name,
#include "attend/ops/call.def"
    }
        .size();
constexpr size_t kScalars =
    std::initializer_list<const char*>{
#define ATTEND_SCALAR(name, type, schema) #name,
#include "attend/ops/call.def"
    }
        .size();

constexpr const char* kCallSchema = ""
#define ATTEND_TENSOR(name) "Tensor? " #name ", "
#define ATTEND_REQUIRED(name) "Tensor " #name ", "
#define ATTEND_SCALAR(name, type, schema) schema " " #name ", "
#include "attend/ops/call.def"
    ;

std::string CallSchema() {
  const std::string text = kCallSchema;
  return text.substr(0, text.size() - 2);
}

// Fields from consecutive IValues of the schema.
void ReadFields(const IValue* v, Call& call) {
#define ATTEND_TENSOR(name) Read(*v++, call.name);
#define ATTEND_SCALAR(name, type, schema) Read(*v++, call.name);
#include "attend/ops/call.def"
}

}  // namespace

std::vector<at::Tensor> Call::Tensors() const {
  return {
#define ATTEND_TENSOR(name) name,
#include "attend/ops/call.def"
  };
}

void Call::SetTensors(const std::vector<at::Tensor>& tensors) {
  const at::Tensor* t = tensors.data();
#define ATTEND_TENSOR(name) name = *t++;
#include "attend/ops/call.def"
}

std::vector<IValue> Call::Scalars() const {
  std::vector<IValue> out;
  out.reserve(kScalars);
#define ATTEND_SCALAR(name, type, schema) out.push_back(ToIValue(name));
#include "attend/ops/call.def"
  return out;
}

void Call::SetScalars(const std::vector<IValue>& scalars) {
  const IValue* v = scalars.data();
#define ATTEND_SCALAR(name, type, schema) Read(*v++, name);
#include "attend/ops/call.def"
}

const at::Tensor& Differentiable(const Call& call, Gradient which) {
  switch (which) {
    case kQuery:
      return call.query;
    case kKey:
      return call.key;
    case kValue:
      return call.value;
    case kParam:
      return call.param;
    case kScores:
      return call.scores;
    case kBias:
      return call.attn_bias;
    case kSlopes:
      return call.alibi_slopes;
    default:
      return call.centers;
  }
}

std::string ForwardSchema() {
  return "(" + CallSchema() + ") -> (Tensor output, Tensor weights, Tensor lse, Tensor sample, Tensor sample_logp)";
}

std::string BackwardSchema() {
  return "(Tensor? grad_output, Tensor? grad_weights, Tensor? grad_lse, Tensor? grad_sample_logp, "
         "Tensor? output, Tensor? weights, Tensor? lse, Tensor? sample, " +
         CallSchema() +
         ", bool[] needs) -> (Tensor query, Tensor key, Tensor value, "
         "Tensor param, Tensor scores, Tensor attn_bias, Tensor alibi_slopes, Tensor centers)";
}

std::string ExplainSchema() { return "(" + CallSchema() + ") -> str"; }

Call PopCall(torch::jit::Stack& stack) {
  constexpr size_t n = kTensors + kScalars;
  Call call;
  ReadFields(stack.data() + (stack.size() - n), call);
  torch::jit::drop(stack, n);
  return call;
}

BackwardCall PopBackwardCall(torch::jit::Stack& stack) {
  constexpr size_t n = BackwardCall::kOwn + kTensors + kScalars + 1;
  const IValue* v = stack.data() + (stack.size() - n);
  BackwardCall out;
  for (at::Tensor* t : out.Own()) Read(*v++, *t);
  ReadFields(v, out.call);
  const auto needs = (v + kTensors + kScalars)->toBoolList();
  TORCH_CHECK_VALUE(needs.size() == kGradients, "[attention_backward] expected ", int(kGradients), " needs; found ", needs.size());
  for (const auto i : c10::irange(size_t{kGradients})) out.needs[i] = needs[i];
  torch::jit::drop(stack, n);
  return out;
}

void Push(torch::jit::Stack& stack, const Call& call) {
  stack.reserve(stack.size() + kTensors + kScalars);
#define ATTEND_TENSOR(name) stack.push_back(ToIValue(call.name));
#define ATTEND_SCALAR(name, type, schema) stack.push_back(ToIValue(call.name));
#include "attend/ops/call.def"
}

void Push(torch::jit::Stack& stack, const BackwardCall& b) {
  stack.reserve(stack.size() + BackwardCall::kOwn + kTensors + kScalars + 1);
  for (const at::Tensor* t : b.Own()) stack.push_back(ToIValue(*t));
  Push(stack, b.call);
  c10::List<bool> needs;
  for (bool need : b.needs) needs.push_back(need);
  stack.emplace_back(std::move(needs));
}

void Push(torch::jit::Stack& stack, const Outputs& o) {
  for (const at::Tensor* t : {&o.output, &o.weights, &o.lse, &o.sample, &o.sample_logp}) stack.emplace_back(*t);
}

void Push(torch::jit::Stack& stack, const Gradients& gradients) {
  for (const at::Tensor& t : gradients) stack.emplace_back(t);
}

}  // namespace attend::ops
