#include <gtest/gtest.h>

#include <cmath>

#include "runtime/ops/op_test_support.h"

namespace fewbit::ops {
namespace {

using Ints = std::vector<int64_t>;

// One head of size 1 whose keys are all 0: every visible value has the same share.
OpCall uniform(int64_t queries, std::vector<float> v) {
  const auto n = static_cast<int64_t>(v.size());
  OpCall call("Attention", 25);
  call.in(floats({1, 1, queries, 1}, std::vector<float>(static_cast<size_t>(queries), 1.0F)));
  call.in(floats({1, 1, n, 1}, std::vector<float>(v.size(), 0.0F)));
  call.in(floats({1, 1, n, 1}, v));
  return call;
}

TEST(Attention, CausalQueriesSeeThePast) {
  EXPECT_EQ(values<float>(uniform(3, {1, 3, 8}).attr("is_causal", int64_t{1}).output()),
            (std::vector<float>{1, 2, 4}));
}

TEST(Attention, WindowsLimitBothSides) {
  EXPECT_EQ(values<float>(uniform(3, {2, 4, 8})
                              .attr("left_window_size", int64_t{0})
                              .attr("right_window_size", int64_t{1})
                              .output()),
            (std::vector<float>{3, 6, 8}));
  EXPECT_NE(uniform(3, {2, 4, 8}).attr("left_window_size", int64_t{-2}).error(), "");
}

TEST(Attention, MasksAreComposedAndShortOnesPadded) {
  EXPECT_EQ(values<float>(uniform(1, {2, 4, 8}).in(tensor<bool>({1, 2}, {true, true})).output()),
            (std::vector<float>{3}));
  EXPECT_EQ(values<float>(uniform(1, {2, 4, 8}).in(floats({1, 3}, {0, -INFINITY, 0})).output()),
            (std::vector<float>{5}));
  // A row without a key is zero, not NaN.
  EXPECT_EQ(values<float>(uniform(1, {2, 4}).in(tensor<bool>({1, 2}, {false, false})).output()),
            (std::vector<float>{0}));
  EXPECT_NE(uniform(1, {2, 4}).in(floats({1, 3}, {0, 0, 0})).error(), "");
  EXPECT_NE(uniform(1, {2, 4}).in(floats({2, 2}, {0, 0, 0, 0})).error(), "");
}

TEST(Attention, ExternalCacheHasPerBatchLengths) {
  const auto call = [](int64_t valid) {
    OpCall c = uniform(1, {2, 4, NAN});
    c.none().none().none().in(ints({1}, {valid})).attr("is_causal", int64_t{1});
    return c;
  };
  EXPECT_EQ(values<float>(call(2).output()), (std::vector<float>{3}));
  EXPECT_EQ(values<float>(call(1).output()), (std::vector<float>{2}));
  EXPECT_EQ(values<float>(call(0).output()), (std::vector<float>{0}));
  EXPECT_NE(call(4).error(), "");
  EXPECT_NE(call(-1).error(), "");
}

TEST(Attention, InternalCacheGrows) {
  auto result = uniform(1, {6})
                    .none()
                    .in(floats({1, 1, 2, 1}, {0, 0}))
                    .in(floats({1, 1, 2, 1}, {1, 2}))
                    .outputs(3)
                    .run();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(values<float>((*result)[0].tensor()), (std::vector<float>{3}));
  EXPECT_EQ(values<float>((*result)[2].tensor()), (std::vector<float>{1, 2, 6}));
  EXPECT_NE(uniform(1, {6}).none().in(floats({1, 1, 2, 1}, {0, 0})).error(), "");
}

TEST(Attention, GroupedHeadsShareKeysAndPackedIsTheSame) {
  const Tensor q = floats({1, 1, 4}, {1, 0, 0, 1});  // 4 heads of size 1
  const Tensor k = floats({1, 2, 2}, {9, 0, 0, 9});  // 2 positions, 2 heads
  const Tensor v = floats({1, 2, 2}, {1, 10, 2, 20});
  const Tensor y = OpCall("Attention", 23)
                       .in(q)
                       .in(k)
                       .in(v)
                       .attr("q_num_heads", int64_t{4})
                       .attr("kv_num_heads", int64_t{2})
                       .output();
  ASSERT_EQ(y.dims(), (Dims{1, 1, 4}));
  const auto list = values<float>(y);
  EXPECT_NEAR(list[0], 1, 1e-3);   // head 0 of 2: keys 9, 0
  EXPECT_FLOAT_EQ(list[1], 1.5F);  // query 0: equal shares
  EXPECT_FLOAT_EQ(list[2], 15.0F);
  EXPECT_NEAR(list[3], 20, 1e-2);
  EXPECT_NE(OpCall("Attention", 23).in(q).in(k).in(v).error(), "");
}

TEST(RotaryEmbedding, RotatesHalvesOrPairs) {
  const auto rotate = [](int64_t interleaved, int64_t position) {
    return OpCall("RotaryEmbedding", 23)
        .in(floats({1, 1, 1, 4}, {1, 2, 3, 4}))
        .in(floats({2, 2}, {1, 1, 0, 0}))
        .in(floats({2, 2}, {0, 0, 1, 1}))
        .in(ints({1, 1}, {position}))
        .attr("interleaved", interleaved);
  };
  EXPECT_EQ(values<float>(rotate(0, 0).output()), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(values<float>(rotate(0, 1).output()), (std::vector<float>{-3, -4, 1, 2}));
  EXPECT_EQ(values<float>(rotate(1, 1).output()), (std::vector<float>{-2, 1, -4, 3}));
  EXPECT_NE(rotate(0, 2).error(), "");
  EXPECT_NE(rotate(0, -1).error(), "");
  EXPECT_NE(rotate(0, 0).attr("rotary_embedding_dim", int64_t{3}).error(), "");
}

TEST(LinearAttention, DeltaRuleOverwritesWhatAKeyHolds) {
  const auto run = [](const char* rule, bool beta) {
    OpCall call("LinearAttention", 27);
    call.in(floats({1, 2, 1}, {1, 1})).in(floats({1, 2, 1}, {1, 1})).in(floats({1, 2, 1}, {3, 5}));
    call.attr("q_num_heads", int64_t{1}).attr("kv_num_heads", int64_t{1});
    call.attr("update_rule", std::string(rule));
    if (beta) call.none().none().in(floats({1, 2, 1}, {1, 1}));
    return call;
  };
  EXPECT_EQ(values<float>(run("linear", false).output()), (std::vector<float>{3, 8}));
  EXPECT_EQ(values<float>(run("delta", true).output()), (std::vector<float>{3, 5}));
  EXPECT_NE(run("delta", false).error(), "");
  EXPECT_NE(run("linear", true).error(), "");
  EXPECT_NE(run("guess", false).error(), "");
}

TEST(CausalConvWithState, ContinuesFromItsState) {
  auto result = OpCall("CausalConvWithState", 27)
                    .in(floats({1, 1, 1}, {3}))
                    .in(floats({1, 1, 3}, {1, 10, 100}))
                    .none()
                    .in(floats({1, 1, 2}, {1, 2}))
                    .outputs(2)
                    .run();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(values<float>((*result)[0].tensor()), (std::vector<float>{321}));
  EXPECT_EQ(values<float>((*result)[1].tensor()), (std::vector<float>{2, 3}));
}

}  // namespace
}  // namespace fewbit::ops
