#pragma once

#include "attend/nn/basic.h"

namespace attend::nn {

// What an encoder hands over: all a decoder knows of the source.
struct Memory {
  at::Tensor states;   // (B, S, size)
  at::Tensor lengths;  // (B) int64
  at::Tensor summary;  // (B, size): the whole source in one vector, e.g. a recurrent encoder's last states

  int64_t rows() const { return lengths.size(0); }
};

// Reads a padded batch of sequences.
class Encoder : public Module {
 public:
  virtual Memory Forward(const at::Tensor& ids, const at::Tensor& lengths, Context& context) const = 0;  // ids (B, S) int64
  virtual int64_t size() const = 0;                                                                      // of the states and the summary
  virtual int64_t longest() const { return kAnyLength; }                                                 // source, in tokens
  virtual const Embedding& embedding() const = 0;
  // From now on reads the other's vectors instead of its own.
  virtual void TieEmbedding(const Embedding& other) = 0;
};

}  // namespace attend::nn
