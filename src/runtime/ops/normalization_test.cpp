#include <gtest/gtest.h>

#include <cmath>

#include "numerics/convert.h"
#include "runtime/ops/op_test_support.h"

namespace fewbit::ops {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(BatchNormalization, UsesTheGivenStatistics) {
  const Tensor y = OpCall("BatchNormalization", 9)
                       .in(floats({1, 2, 1}, {5, 7}))
                       .in(floats({2}, {2, 3}))
                       .in(floats({2}, {1, 0}))
                       .in(floats({2}, {3, 7}))
                       .in(floats({2}, {4, 1}))
                       .attr("epsilon", 0.0F)
                       .output();
  EXPECT_EQ(values<float>(y), (std::vector<float>{3, 0}));
}

TEST(BatchNormalization, TrainingMovesTheAverages) {
  auto result = OpCall("BatchNormalization", 15)
                    .in(floats({2, 1}, {0, 2}))
                    .in(floats({1}, {1}))
                    .in(floats({1}, {0}))
                    .in(floats({1}, {10}))
                    .in(floats({1}, {20}))
                    .attr("training_mode", int64_t{1})
                    .attr("momentum", 0.5F)
                    .attr("epsilon", 0.0F)
                    .outputs(3)
                    .run();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(values<float>((*result)[0].tensor()), (std::vector<float>{-1, 1}));
  EXPECT_EQ(values<float>((*result)[1].tensor()), (std::vector<float>{5.5F}));
  EXPECT_EQ(values<float>((*result)[2].tensor()), (std::vector<float>{10.5F}));
}

TEST(GroupNormalization, ScaleIsPerGroupBeforeOpset21) {
  const Tensor x = floats({1, 4, 1}, {0, 2, 10, 14});
  const auto norm = [&](int opset, std::vector<float> scale) {
    const auto n = static_cast<int64_t>(scale.size());
    return OpCall("GroupNormalization", opset)
        .in(x)
        .in(floats({n}, scale))
        .in(floats({n}, std::vector<float>(scale.size(), 0.0F)))
        .attr("num_groups", int64_t{2})
        .attr("epsilon", 0.0F);
  };
  EXPECT_EQ(values<float>(norm(18, {1, 3}).output()), (std::vector<float>{-1, 1, -3, 3}));
  EXPECT_EQ(values<float>(norm(21, {1, 2, 3, 4}).output()), (std::vector<float>{-1, 2, -3, 4}));
  EXPECT_NE(norm(21, {1, 3}).error(), "");
}

TEST(LayerNormalization, ReadsFloat16AndGivesFloat32Statistics) {
  auto result = OpCall("LayerNormalization", 17)
                    .in(*cast(floats({1, 2}, {1, 3}), DType::kFloat16))
                    .in(*cast(floats({2}, {2, 2}), DType::kFloat16))
                    .attr("epsilon", 0.0F)
                    .outputs(3)
                    .run();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ((*result)[0].tensor().type(), DType::kFloat16);
  EXPECT_EQ(values<float>(*cast((*result)[0].tensor(), DType::kFloat32)),
            (std::vector<float>{-2, 2}));
  EXPECT_EQ(values<float>((*result)[1].tensor()), (std::vector<float>{2}));
  EXPECT_EQ(values<float>((*result)[2].tensor()), (std::vector<float>{1}));
}

TEST(RMSNormalization, BroadcastsItsScale) {
  const Tensor x = floats({2, 2}, {3, 4, 6, 8});
  const auto norm = [&](Tensor scale) {
    return values<float>(
        OpCall("RMSNormalization", 23).in(x).in(std::move(scale)).attr("epsilon", 0.0F).output());
  };
  const float a = 3 / std::sqrt(12.5F), b = 4 / std::sqrt(12.5F);
  EXPECT_EQ(norm(floats({2}, {1, 2})), (std::vector<float>{a, 2 * b, a, 2 * b}));
  EXPECT_EQ(norm(floats({2, 1}, {1, 2})), (std::vector<float>{a, b, 2 * a, 2 * b}));
}

TEST(Softmax, OldVersionsFlattenFromTheAxis) {
  const Tensor x = floats({1, 2, 2}, {0, 0, 0, 0});
  const auto softmax = [&](int opset) {
    return values<float>(OpCall("Softmax", opset).in(x).output());
  };
  EXPECT_EQ(softmax(11), (std::vector<float>{0.25F, 0.25F, 0.25F, 0.25F}));
  EXPECT_EQ(softmax(13), (std::vector<float>{0.5F, 0.5F, 0.5F, 0.5F}));
}

TEST(Softmax, HoldsLargeAndInfiniteValues) {
  const Tensor x = floats({1, 3}, {1e30F, -kInf, 1e30F});
  EXPECT_EQ(values<float>(OpCall("Softmax", 13).in(x).output()),
            (std::vector<float>{0.5F, 0, 0.5F}));
  const auto logs = values<float>(OpCall("LogSoftmax", 13).in(x).output());
  EXPECT_FLOAT_EQ(logs[0], -std::log(2.0F));
  EXPECT_EQ(logs[1], -kInf);
}

TEST(Hardmax, TakesTheFirstOfEquals) {
  EXPECT_EQ(values<float>(OpCall("Hardmax", 13).in(floats({2, 2}, {3, 3, 1, 2})).output()),
            (std::vector<float>{1, 0, 0, 1}));
}

TEST(LpNormalization, ZeroVectorsStayZero) {
  EXPECT_EQ(values<float>(OpCall("LpNormalization", 1).in(floats({2, 2}, {0, 0, 3, 4})).output()),
            (std::vector<float>{0, 0, 0.6F, 0.8F}));
}

TEST(Lrn, WindowOfEvenSizeReachesUp) {
  // size 2: channels c and c + 1.
  const Tensor y = OpCall("LRN", 13)
                       .in(floats({1, 3, 1, 1}, {1, 2, 3}))
                       .attr("size", int64_t{2})
                       .attr("alpha", 2.0F)
                       .attr("beta", 1.0F)
                       .attr("bias", 0.0F)
                       .output();
  EXPECT_EQ(values<float>(y), (std::vector<float>{1.0F / 5, 2.0F / 13, 3.0F / 9}));
}

TEST(Loss, WeightsIgnoresAndChecksTargets) {
  const auto loss = [](std::vector<int64_t> target) {
    const auto n = static_cast<int64_t>(target.size());
    return OpCall("NegativeLogLikelihoodLoss", 13)
        .in(floats({2, 2}, {-1, -2, -3, -4}))
        .in(ints({n}, std::move(target)))
        .in(floats({2}, {1, 3}))
        .attr("ignore_index", int64_t{-7});
  };
  EXPECT_EQ(values<float>(loss({0, 1}).output()), (std::vector<float>{(1 + 12) / 4.0F}));
  EXPECT_EQ(values<float>(loss({0, -7}).output()), (std::vector<float>{1}));
  EXPECT_NE(loss({0, 2}).error(), "");
  EXPECT_NE(loss({0, -1}).error(), "");
  EXPECT_NE(loss({0}).error(), "");
}

TEST(Normalization, RefusesBadAxesAndShapes) {
  const Tensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_NE(OpCall("Softmax", 13).in(x).attr("axis", int64_t{2}).error(), "");
  EXPECT_NE(OpCall("LayerNormalization", 17).in(x).in(floats({2}, {1, 1})).error(), "");
  EXPECT_NE(OpCall("LRN", 13).in(x).attr("size", int64_t{0}).error(), "");
  EXPECT_NE(OpCall("GroupNormalization", 21)
                .in(x)
                .in(floats({3}, {1, 1, 1}))
                .in(floats({3}, {0, 0, 0}))
                .attr("num_groups", int64_t{2})
                .error(),
            "");
  EXPECT_NE(OpCall("BatchNormalization", 15)
                .in(x)
                .in(floats({3}, {1, 1, 1}))
                .in(floats({3}, {0, 0, 0}))
                .in(floats({2}, {0, 0}))
                .in(floats({3}, {1, 1, 1}))
                .error(),
            "");
}

}  // namespace
}  // namespace fewbit::ops
