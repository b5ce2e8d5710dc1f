#include "attend/nn/given_score.h"

#include "attend/nn/scores.inc"

namespace attend::nn {
namespace {

template <class L>
std::shared_ptr<GivenScore> Make(const spec::AttentionSpec& spec, int64_t query_size, int64_t memory_size) {
  if constexpr (requires { typename L::Type; })
    return std::make_shared<typename L::Type>(spec, query_size, memory_size);
  else
    return nullptr;
}

}  // namespace

std::shared_ptr<GivenScore> MakeGivenScore(const spec::AttentionSpec& spec, int64_t query_size, int64_t memory_size) {
  switch (spec.score) {
#define ATTEND_SCORE(name, ...) \
  case spec::Score::name:       \
    return Make<LayerScore<spec::Score::name>>(spec, query_size, memory_size);
#include "attend/spec/scores.def"
#undef ATTEND_SCORE
  }
  return nullptr;
}

}  // namespace attend::nn
