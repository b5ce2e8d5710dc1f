#include "attend/nn/intra.h"

#include "attend/nn/intras.inc"

namespace attend::nn {

void RecurrentState::ForEach(const std::function<void(at::Tensor&)>& f) {
  for (at::Tensor* t : {&h, &c, &attention.coverage, &summary})
    if (t->defined()) f(*t);
  past.ForEach(f);
}

std::shared_ptr<Intra> MakeIntra(const spec::Intra& options, const IntraSizes& sizes) {
  return std::visit([&](const auto& o) { return intras::Make(o, sizes); }, options);
}

}  // namespace attend::nn
