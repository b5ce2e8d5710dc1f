#include "attend/ops/cells.h"

#include <torch/torch.h>

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace attend::ops {
namespace {

using at::Tensor;
using spec::Cell;

constexpr Cell kCells[] = {Cell::rnn, Cell::lstm, Cell::gru};

// An input that takes no part has gradient 0.
std::vector<Tensor> Gradients(const Tensor& loss, const std::vector<Tensor>& of) {
  std::vector<Tensor> out = torch::autograd::grad({loss}, of, {}, std::nullopt, false, true);
  for (size_t i = 0; i < of.size(); i++)
    if (!out[i].defined()) out[i] = torch::zeros_like(of[i]);
  return out;
}

// Every input of a sequence and what hangs on it: states, last h, last c and the gradients of x, weight, bias, h0, c0.
struct Results {
  std::vector<Tensor> values;
};

struct Inputs {
  Tensor x, weight, bias, h, c;

  Inputs(Cell cell, int64_t steps, int64_t rows, int64_t size, bool biased) {
    torch::manual_seed(steps * 100 + rows * 10 + size);
    const int64_t gates = Gates(cell) * size;
    const auto draw = [](at::IntArrayRef shape) { return torch::randn(shape, torch::kFloat).to(torch::kDouble); };
    x = draw({steps, rows, gates});
    weight = draw({gates, size}) / std::sqrt(static_cast<double>(size));
    if (biased) bias = draw({gates});
    h = draw({rows, size});
    if (HasMemory(cell)) c = draw({rows, size});
  }

  std::vector<Tensor> Leaves(at::ScalarType type) const {
    std::vector<Tensor> out;
    for (const Tensor* t : {&x, &weight, &bias, &h, &c})
      if (t->defined()) out.push_back(t->to(type, false, true).requires_grad_());
    return out;
  }

  Results Run(Cell cell, at::ScalarType type, const Tensor& lengths, bool reverse) const {
    const std::vector<Tensor> leaves = Leaves(type);
    size_t i = 0;
    const auto next = [&](const Tensor& t) { return t.defined() ? leaves[i++] : Tensor(); };
    const Tensor x1 = next(x), w1 = next(weight), b1 = next(bias), h1 = next(h), c1 = next(c);
    const auto out = CellSequence(cell, x1, w1, b1, {h1, c1}, lengths, reverse);
    torch::manual_seed(1);
    const auto weighted = [&](const Tensor& t) { return (t * torch::randn(t.sizes(), torch::kFloat).to(type)).sum(); };
    Tensor loss = weighted(out.states) + weighted(out.last.h);
    if (out.last.c.defined()) loss = loss + weighted(out.last.c);
    Results results{{out.states.detach(), out.last.h.detach()}};
    if (out.last.c.defined()) results.values.push_back(out.last.c.detach());
    for (const Tensor& g : Gradients(loss, leaves)) results.values.push_back(g);
    return results;
  }
};

double Error(const Tensor& a, const Tensor& exact) { return a.numel() ? (a.to(torch::kDouble) - exact).abs().max().item<double>() : 0; }

// Rounding: sigmoid and tanh to 2e-7 (kernels/math-inl.h), products of `size` terms; both stay of that order over the steps, since a
// step's derivative with respect to the state is near 1 at most. Gradients sum over rows and steps.
TEST(CellSequence, FusedEqualsComposedDouble) {
  for (Cell cell : kCells)
    for (int64_t steps : {0, 1, 2, 7})
      for (int64_t rows : {1, 3, 5})
        for (int64_t size : {1, 7, 8, 17, 33})
          for (bool reverse : {false, true})
            for (int with : {0, 1, 2}) {  // no lengths; lengths; lengths and no bias
              SCOPED_TRACE(std::string(Name(cell)) + " T " + std::to_string(steps) + " B " + std::to_string(rows) + " H " +
                           std::to_string(size) + (reverse ? " reverse " : " ") + std::to_string(with));
              const Inputs inputs(cell, steps, rows, size, with < 2);
              Tensor lengths;
              if (with) lengths = torch::arange(rows, torch::kLong).mul(3).remainder(std::max<int64_t>(1, steps + 1));
              const auto exact = inputs.Run(cell, torch::kDouble, lengths, reverse),
                         fused = inputs.Run(cell, torch::kFloat, lengths, reverse);
              ASSERT_EQ(exact.values.size(), fused.values.size());
              for (size_t i = 0; i < exact.values.size(); i++) {
                ASSERT_EQ(exact.values[i].sizes(), fused.values[i].sizes()) << i;
                const double scale = std::max(1.0, exact.values[i].numel() ? exact.values[i].abs().max().item<double>() : 0.0);
                EXPECT_LE(Error(fused.values[i], exact.values[i]), 4e-7 * static_cast<double>(1 + steps) * scale * 4) << i;
              }
            }
}

TEST(CellSequence, BeyondItsLengthARowRepeatsItsStateAndTakesNoGradient) {
  for (Cell cell : kCells)
    for (at::ScalarType type : {at::kFloat, at::kDouble})
      for (bool reverse : {false, true}) {
        const Inputs inputs(cell, 6, 4, 5, true);
        const std::vector<int64_t> lengths = {6, 2, 0, 1};
        const auto all = inputs.Run(cell, type, torch::tensor(lengths), reverse);
        const Tensor dx = all.values[HasMemory(cell) ? 3 : 2], initial = inputs.h.to(type);
        for (int64_t i = 0; i < 4; i++) {
          const int64_t n = lengths[static_cast<size_t>(i)];
          const Tensor row = all.values[0].select(1, i), kept = reverse || n == 0 ? initial[i] : row[n - 1];
          for (int64_t t = n; t < 6; t++) EXPECT_TRUE(torch::equal(row[t], kept));
          EXPECT_TRUE(torch::equal(all.values[1][i], n == 0 ? initial[i] : row[reverse ? 0 : n - 1]));
          EXPECT_EQ(dx.select(1, i).slice(0, n).abs().sum().item<double>(), 0);
          EXPECT_EQ(dx.select(1, i).slice(0, 0, n).abs().sum().item<double>() > 0, n > 0);
        }
      }
}

// Whatever lies in padded steps, NaN included.
TEST(CellSequence, PaddingNeverInfluences) {
  for (Cell cell : kCells) {
    Inputs inputs(cell, 4, 2, 9, true);
    const Tensor lengths = torch::tensor({4, 2}, torch::kLong);
    const auto before = inputs.Run(cell, at::kFloat, lengths, true);
    inputs.x.slice(0, 2).select(1, 1).fill_(std::numeric_limits<double>::quiet_NaN());
    const auto after = inputs.Run(cell, at::kFloat, lengths, true);
    for (size_t i = 0; i < before.values.size(); i++) EXPECT_TRUE(torch::equal(before.values[i], after.values[i])) << i;
  }
}

// One input alone asks for a gradient: what it needs was kept.
TEST(CellSequence, GradientOfEachInputAlone) {
  for (Cell cell : kCells) {
    const Inputs inputs(cell, 3, 2, 4, true);
    const auto exact = inputs.Run(cell, torch::kDouble, {}, false);
    const size_t offset = HasMemory(cell) ? 3 : 2, leaves = HasMemory(cell) ? 5 : 4;
    for (size_t alone = 0; alone < leaves; alone++) {
      std::vector<Tensor> in = inputs.Leaves(torch::kFloat);
      for (size_t i = 0; i < leaves; i++) in[i].requires_grad_(i == alone);
      const auto out = CellSequence(cell, in[0], in[1], in[2], {in[3], HasMemory(cell) ? in[4] : Tensor()}, {}, false);
      torch::manual_seed(1);
      Tensor loss = (out.states * torch::randn(out.states.sizes())).sum() + (out.last.h * torch::randn(out.last.h.sizes())).sum();
      if (out.last.c.defined()) loss = loss + (out.last.c * torch::randn(out.last.c.sizes())).sum();
      EXPECT_LE(Error(torch::autograd::grad({loss}, {in[alone]})[0], exact.values[offset + alone]), 2e-5) << Name(cell) << " " << alone;
    }
  }
}

TEST(CellSequence, GradientsCannotBeDifferentiatedAgain) {
  const Inputs inputs(Cell::gru, 2, 2, 3, true);
  const auto in = inputs.Leaves(torch::kFloat);
  const auto out = CellSequence(Cell::gru, in[0], in[1], in[2], {in[3], {}}, {}, false);
  EXPECT_THROW(torch::autograd::grad({out.states.sum()}, {in[1]}, {}, true, true), c10::Error);
}

TEST(CellStep, FusedEqualsComposedDouble) {
  for (Cell cell : kCells)
    for (int64_t rows : {0, 1, 5})
      for (int64_t size : {1, 7, 8, 31})
        for (bool masked : {false, true}) {
          torch::manual_seed(size);
          const int64_t gates = Gates(cell) * size;
          const Tensor x = torch::randn({rows, gates}), u = torch::randn({rows, gates}), h = torch::randn({rows, size}),
                       c = torch::randn({rows, size});
          const Tensor active = masked ? torch::arange(rows, torch::kLong).remainder(2).to(torch::kByte) : Tensor();
          const auto run = [&](at::ScalarType type) {
            std::vector<Tensor> in;
            for (const Tensor& t : {x, u, h}) in.push_back(t.to(type, false, true).requires_grad_());
            if (HasMemory(cell)) in.push_back(c.to(type, false, true).requires_grad_());
            const CellState out = CellStep(cell, in[0], in[1], {in[2], HasMemory(cell) ? in[3] : Tensor()}, active);
            Tensor loss = (out.h * h.to(type)).sum();
            if (out.c.defined()) loss = loss + (out.c * c.to(type)).sum();
            std::vector<Tensor> results = Gradients(loss, in);
            results.push_back(out.h.detach());
            if (out.c.defined()) results.push_back(out.c.detach());
            return results;
          };
          const auto exact = run(torch::kDouble), fused = run(torch::kFloat);
          for (size_t i = 0; i < exact.size(); i++) {
            const double scale = rows ? std::max(1.0, exact[i].abs().max().item<double>()) : 1;
            EXPECT_LE(Error(fused[i], exact[i]), 3e-6 * scale) << Name(cell) << " " << rows << " " << size << " " << i;
          }
        }
}

}  // namespace
}  // namespace attend::ops
