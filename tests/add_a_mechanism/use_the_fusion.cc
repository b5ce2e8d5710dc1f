// Runs a decoder with the fusion `sum`, chosen by its name: steps equal teacher forcing, and the attention takes part.
#include <torch/torch.h>

#include "attend/nn/recurrent_decoder.h"

int main() {
  using namespace attend;
  nn::RecurrentDecoderOptions options;
  options.size = 8;
  options.embedding = 3;
  options.fusion = ParseChoice<spec::Fusion>("fusion", "sum");
  nn::RecurrentDecoder decoder(options, 6, 7, 0);
  nn::Materialise(decoder, 1);
  decoder.to(torch::kDouble);
  const nn::Memory memory{torch::randn({2, 5, 6}, torch::kDouble), torch::tensor({5, 3}, torch::kLong),
                          torch::randn({2, 6}, torch::kDouble)};
  const at::Tensor inputs = torch::randint(1, 7, {2, 4}, torch::kLong);
  nn::Context context;
  const at::Tensor all = decoder.Forward(memory, inputs, context);
  all.sum().backward();
  const at::NoGradGuard no_grad;
  const auto rows = decoder.Start(memory, context);
  const int32_t same[] = {0, 1};
  for (int64_t t = 0; t < 4; t++) {
    rows->Select(same);
    TORCH_CHECK(torch::allclose(rows->Step(inputs.select(1, t), context), all.select(1, t), 1e-12, 1e-12), "step ", t);
  }
  for (const auto& p : decoder.named_parameters())
    if (p.key().starts_with("attention")) TORCH_CHECK(p.value().grad().abs().sum().item<double>() > 0, p.key());
  return 0;
}
