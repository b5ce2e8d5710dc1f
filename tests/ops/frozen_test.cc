#include "attend/ops/frozen.h"

#include <torch/torch.h>

#include <optional>
#include <thread>

#include "attend/ops/cells.h"
#include "attend/ops/products.h"
#include "attend/ops/step_linear.h"
#include "gtest/gtest.h"

namespace attend::ops {
namespace {

using at::Tensor;

class Freezing : public testing::Test {
 protected:
  void SetUp() override { torch::manual_seed(1); }
  const c10::InferenceMode inference_;
};

TEST_F(Freezing, EveryUseOfTheWeightReadsTheCopy) {
  const int64_t rows = 5, size = 40;
  const Tensor x = torch::randn({7, rows, size}), w = torch::randn({3 * size, size}) * 0.2, bias = torch::randn({3 * size}),
               h = torch::randn({rows, size});
  const auto uses = [&] {
    return std::vector<Tensor>{Linear(x, w, bias),
                               Linear(x[0].t().contiguous().t(), w),
                               StepLinear(w, bias)(h),
                               StepLinear(w, {})(h),
                               StepLinear(w, bias)(h, Linear(x[0], w, bias)),
                               CellSequence(Cell::gru, Linear(x, w, bias), w, bias, {h, {}}, {}, true).states};
  };
  const std::vector<Tensor> before = uses();
  std::optional<FrozenWeights> frozen(std::in_place, std::vector<Tensor>{w, bias});
  EXPECT_TRUE(FrozenCopy(w));
  EXPECT_FALSE(FrozenCopy(bias));
  const std::vector<Tensor> during = uses();
  // The promise is broken on purpose: only the copy still has the values.
  const Tensor values = w.clone();
  w.zero_();
  const std::vector<Tensor> copied = uses();
  w.copy_(values);
  for (size_t i = 0; i < before.size(); i++) {
    SCOPED_TRACE(i);
    EXPECT_EQ(during[i].sizes(), before[i].sizes());
    EXPECT_TRUE(torch::allclose(during[i], before[i], 1e-5, 1e-5));
    EXPECT_TRUE(torch::equal(during[i], copied[i]));
  }
  frozen.reset();
  EXPECT_FALSE(FrozenCopy(w));
  w.zero_();
  EXPECT_TRUE(torch::equal(Linear(h, w), torch::zeros({rows, 3 * size})));
}

TEST_F(Freezing, AWeightOfTwoOwnersStaysFrozenForTheLast) {
  const Tensor w = torch::randn({3, 4});
  std::optional<FrozenWeights> one(std::in_place, std::vector<Tensor>{w, w}), two(std::in_place, std::vector<Tensor>{w});
  one.reset();
  EXPECT_TRUE(FrozenCopy(w));
  two.reset();
  EXPECT_FALSE(FrozenCopy(w));
}

TEST_F(Freezing, GradientsOtherPrecisionsAndOtherLayoutsTakeTheUsualPath) {
  const Tensor w = torch::randn({6, 4}), wide = w.to(at::kDouble), turned = torch::randn({4, 6}).t();
  const FrozenWeights frozen({w, wide, turned});
  EXPECT_TRUE(FrozenCopy(w));
  EXPECT_FALSE(FrozenCopy(wide));
  EXPECT_FALSE(FrozenCopy(turned));
  const c10::InferenceMode off(false);
  const at::AutoGradMode gradients(true);
  EXPECT_FALSE(FrozenCopy(w));
}

TEST_F(Freezing, NoRows) {
  const Tensor w = torch::randn({6, 4});
  const FrozenWeights frozen({w});
  EXPECT_EQ(Linear(torch::randn({0, 4}), w).sizes(), at::IntArrayRef({0, 6}));
  EXPECT_EQ(StepLinear(w, {})(torch::randn({0, 4})).sizes(), at::IntArrayRef({0, 6}));
}

TEST_F(Freezing, ThreadsShareOneCopy) {
  const Tensor w = torch::randn({300, 200}), x = torch::randn({9, 200});
  const FrozenWeights frozen({w});
  std::vector<Tensor> found(4);
  std::vector<std::thread> threads;
  for (Tensor& one : found)
    threads.emplace_back([&] {
      const c10::InferenceMode inference;
      one = Linear(x, w);
    });
  for (std::thread& thread : threads) thread.join();
  for (const Tensor& one : found) EXPECT_TRUE(torch::equal(one, found[0]));
}

// A row has the same bits alone and in any batch.
TEST_F(Freezing, RowsDoNotDependOnTheBatch) {
  const Tensor w = torch::randn({130, 200}), bias = torch::randn({130}), x = torch::randn({50, 200});
  const FrozenWeights frozen({w});
  const Tensor all = Linear(x, w, bias);
  for (int64_t i = 0; i < 50; i += 7) EXPECT_TRUE(torch::equal(Linear(x.slice(0, i, i + 1), w, bias)[0], all[i])) << i;
}

}  // namespace
}  // namespace attend::ops
