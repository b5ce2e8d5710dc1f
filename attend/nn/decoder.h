#pragma once

#include <memory>
#include <span>

#include "attend/nn/encoder.h"

namespace attend::nn {

// The rows of a decoding in progress: what a decoder prepared of the source, shared by the rows of one sentence, and what each row
// carries from step to step.
class DecoderRows {
 public:
  virtual ~DecoderRows() = default;
  // New row i continues row parents[i] ...
  virtual void Select(std::span<const int32_t> parents) = 0;
  // ... with this token: (rows) int64 -> what the head reads, (rows, output size).
  virtual at::Tensor Step(const at::Tensor& tokens, Context& context) = 0;
  // What attention looks back at begins anew, as between the pieces of a text in training; of decoders that carry a state besides.
  virtual void Forget() {}
};

// What a decoder carries from one piece of a text to the next, a row a text: empty at a text's beginning, and always where it is attention
// alone that looks back.
using Carried = std::vector<at::Tensor>;

// Produces a sequence from a memory, or, made for memories of size 0, from nothing: a language model.
class SequenceDecoder : public Module {
 public:
  // Teacher forcing: inputs (B, T) int64, the target shifted behind the start symbol -> (B, T, output size). carried: goes on from there,
  // and leaves what the next piece goes on from, detached; of decoders without a memory.
  virtual at::Tensor Forward(const Memory& memory, const at::Tensor& inputs, Context& context, Carried* carried = nullptr) const = 0;
  virtual std::unique_ptr<DecoderRows> Start(const Memory& memory, Context& context) const = 0;
  virtual int64_t output_size() const = 0;
  // What it can take at most, in tokens: of its inputs, where a recurrent state goes on, those since attention began anew; of the memory.
  virtual int64_t longest() const { return kAnyLength; }
  virtual int64_t longest_memory() const { return kAnyLength; }
  virtual const Embedding& embedding() const = 0;  // for tying
};

}  // namespace attend::nn
