#pragma once

#include <memory>
#include <string>

#include "attend/nn/basic.h"
#include "attend/ops/attention.h"
#include "attend/spec/positions.h"

namespace attend::nn {

// Where the tokens of a pass stand: token i of this pass at position first + i, among `keys` tokens that may be seen.
struct Span {
  int64_t first = 0, tokens = 0, keys = 0;
};

// What the attention layers of one pass know of positions. Made once a pass and used by all layers of it; not thread-safe.
class Places {
 public:
  virtual ~Places() = default;
  // x (B, heads, T, D): the projected queries or keys of this pass's tokens.
  virtual at::Tensor Turn(const at::Tensor& x) const { return x; }
  // What scores of these queries with all keys gain.
  virtual void Add(ops::AttentionArgs&, int64_t heads) const { static_cast<void>(heads); }
};

struct PositionSizes {
  int64_t size = 0;                // of a token's vector
  int64_t heads = 0;               // of every layer's attention; 0: layers differ
  bool causal = false;             // no key stands after its query
  std::string path = "positions";  // of the option, for errors
};

// How a stack of layers without recurrence tells positions apart: one file each, nn/positions/<name>.h, with a class of that name and one
// line in spec/positions.def.
class Positions : public Module {
 public:
  // What is added to the tokens' vectors, (tokens, size); undefined: nothing. like: of their type.
  virtual at::Tensor Embedding(const Span&, const at::TensorOptions& like) const {
    static_cast<void>(like);
    return {};
  }
  virtual int64_t longest() const { return kAnyLength; }  // sequence whose tokens it knows the positions of
  // For the layers above.
  virtual std::unique_ptr<Places> At(const Span&, const at::TensorOptions& like) const {
    static_cast<void>(like);
    return std::make_unique<Places>();
  }
};

// UserError when the sizes do not suit.
std::shared_ptr<Positions> MakePositions(const spec::Positions& options, const PositionSizes& sizes);

}  // namespace attend::nn
