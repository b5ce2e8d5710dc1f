#pragma once

#include <memory>

#include "attend/nn/basic.h"
#include "attend/spec/attention_spec.h"

namespace attend::nn {

// A score that a layer makes itself and hands to the operator as given scores, since it does not compare projected queries with projected
// keys: nn/scores/<name>.h, with a class of that name in nn::scores and a specialisation of LayerScore.
class GivenScore : public Module {
 public:
  // What of the scores depends on the keys alone: states (B, Tk, memory size) -> (B, Hq, 1, Tk), or undefined.
  virtual at::Tensor OfKeys(const at::Tensor& states) const = 0;
  // projected (B, Tq, outputs of query()), of_keys as above -> (B, Hq, Tq, keys). UserError where there are too many keys.
  virtual at::Tensor Scores(const at::Tensor& projected, const at::Tensor& of_keys, int64_t keys) const = 0;
  virtual int64_t longest() const { return kAnyLength; }  // the most keys
  const std::shared_ptr<Linear>& query() const { return query_; }

 protected:
  GivenScore(int64_t query_size, int64_t outputs) {
    query_ = register_module("query", std::make_shared<Linear>(query_size, outputs, false));
  }

 private:
  std::shared_ptr<Linear> query_;
};

template <spec::Score score>
struct LayerScore {};  // Type: the class, where the score has one

std::shared_ptr<GivenScore> MakeGivenScore(const spec::AttentionSpec& spec, int64_t query_size, int64_t memory_size);

}  // namespace attend::nn
