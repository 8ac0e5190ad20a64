#include <cmath>
#include <limits>

#include "runtime/ops/op_test_support.h"

namespace fewbit::ops {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

// [2, 3, 2] = 1 .. 12
Tensor cube() {
  std::vector<float> v;
  for (int i = 1; i <= 12; ++i) v.push_back(static_cast<float>(i));
  return floats({2, 3, 2}, v);
}

TEST(Reduce, AxesOfEveryKind) {
  // Inner, middle, outer, and two that do not touch.
  EXPECT_EQ(values<float>(OpCall("ReduceSum", 13).in(cube()).in(int_list({-1})).output()),
            (std::vector<float>{3, 7, 11, 15, 19, 23}));
  EXPECT_EQ(values<float>(OpCall("ReduceSum", 13).in(cube()).in(int_list({1})).output()),
            (std::vector<float>{9, 12, 27, 30}));
  EXPECT_EQ(values<float>(OpCall("ReduceSum", 13).in(cube()).in(int_list({0, 2})).output()),
            (std::vector<float>{18, 26, 34}));
  EXPECT_EQ(values<float>(OpCall("ReduceSum", 13).in(cube()).output()), (std::vector<float>{78}));
  OpCall("ReduceSum", 13).in(cube()).in(int_list({3})).error();
  OpCall("ReduceSum", 13).in(cube()).in(int_list({0, -3})).error();
}

TEST(Reduce, AxesAreAnAttributeInOlderVersions) {
  Tensor y = OpCall("ReduceMean", 13)
                 .in(cube())
                 .attr("axes", std::vector<int64_t>{1, 2})
                 .attr("keepdims", int64_t{0})
                 .output();
  EXPECT_EQ(y.dims(), (Dims{2}));
  EXPECT_EQ(values<float>(y), (std::vector<float>{3.5F, 9.5F}));
}

TEST(Reduce, NoAxesMayMeanNone) {
  Tensor x = floats({2}, {3, -4});
  auto call = [&](const char* op) {
    return values<float>(OpCall(op, 18).in(x).attr("noop_with_empty_axes", int64_t{1}).output());
  };
  EXPECT_EQ(call("ReduceSum"), (std::vector<float>{3, -4}));
  EXPECT_EQ(call("ReduceL1"), (std::vector<float>{3, 4}));
  EXPECT_EQ(call("ReduceSumSquare"), (std::vector<float>{9, 16}));
}

TEST(Reduce, Formulas) {
  Tensor x = floats({3}, {1, -2, 2});
  auto call = [&](const char* op) { return values<float>(OpCall(op, 18).in(x).output()).at(0); };
  EXPECT_EQ(call("ReduceL1"), 5.0F);
  EXPECT_EQ(call("ReduceL2"), 3.0F);
  EXPECT_EQ(call("ReduceProd"), -4.0F);
  EXPECT_EQ(call("ReduceMax"), 2.0F);
  EXPECT_EQ(call("ReduceMin"), -2.0F);
  EXPECT_EQ(call("ReduceLogSum"), 0.0F);
  EXPECT_NEAR(call("ReduceLogSumExp"), std::log(std::exp(1.0) + std::exp(-2.0) + std::exp(2.0)),
              1e-6);
}

TEST(Reduce, EmptySets) {
  Tensor none = floats({0, 2}, {});
  auto call = [&](const char* op) {
    return values<float>(OpCall(op, 20).in(none).in(int_list({0})).output()).at(1);
  };
  EXPECT_EQ(call("ReduceSum"), 0.0F);
  EXPECT_EQ(call("ReduceProd"), 1.0F);
  EXPECT_EQ(call("ReduceMax"), -kInf);
  EXPECT_EQ(call("ReduceMin"), kInf);
  EXPECT_EQ(call("ReduceLogSumExp"), -kInf);
}

TEST(Reduce, LogSumExpSurvivesTheEndsOfTheRange) {
  auto call = [](std::vector<float> v) {
    Tensor x = floats({static_cast<int64_t>(v.size())}, v);
    return values<float>(OpCall("ReduceLogSumExp", 18).in(x).output()).at(0);
  };
  EXPECT_NEAR(call({1000, 1000}), 1000 + std::log(2.0F), 1e-4);
  EXPECT_EQ(call({-kInf, 1}), 1.0F);
  EXPECT_EQ(call({-kInf, -kInf}), -kInf);
  EXPECT_EQ(call({1, kInf, kInf, 2}), kInf);
  EXPECT_TRUE(std::isnan(call({1, kNan, 2})));
}

TEST(Reduce, ExtremesOfNanAndBool) {
  Tensor x = floats({2, 2}, {kNan, 1, 2, 3});
  Tensor y = OpCall("ReduceMax", 18).in(x).in(int_list({0})).output();
  EXPECT_TRUE(std::isnan(values<float>(y).at(0)));
  EXPECT_EQ(values<float>(y).at(1), 3.0F);
  Tensor flags = tensor<bool>({2, 2}, {true, false, false, false});
  EXPECT_EQ(values<bool>(OpCall("ReduceMax", 20).in(flags).in(int_list({1})).output()),
            (std::vector<bool>{true, false}));
  EXPECT_EQ(values<bool>(OpCall("ReduceMin", 20).in(flags).in(int_list({0})).output()),
            (std::vector<bool>{false, false}));
}

TEST(ArgMax, TiesAndNan) {
  Tensor x = floats({1, 4}, {1, 3, 3, 2});
  EXPECT_EQ(values<int64_t>(OpCall("ArgMax", 13).in(x).attr("axis", int64_t{-1}).output()).at(0),
            1);
  EXPECT_EQ(values<int64_t>(OpCall("ArgMax", 13)
                                .in(x)
                                .attr("axis", int64_t{1})
                                .attr("select_last_index", int64_t{1})
                                .output())
                .at(0),
            2);
  EXPECT_EQ(values<int64_t>(OpCall("ArgMin", 13).in(floats({3}, {2, kNan, 1})).output()).at(0), 1);
  OpCall("ArgMax", 13).in(floats({0}, {})).error();
}

TEST(CumSum, ExclusiveAndReverse) {
  Tensor x = ints({3}, {1, 2, 3});
  auto call = [&](const char* op, int64_t exclusive, int64_t reverse) {
    return values<int64_t>(OpCall(op, 26)
                               .in(x)
                               .in(ints({}, {-1}))
                               .attr("exclusive", exclusive)
                               .attr("reverse", reverse)
                               .output());
  };
  EXPECT_EQ(call("CumSum", 0, 0), (std::vector<int64_t>{1, 3, 6}));
  EXPECT_EQ(call("CumSum", 1, 1), (std::vector<int64_t>{5, 3, 0}));
  EXPECT_EQ(call("CumProd", 1, 0), (std::vector<int64_t>{1, 1, 2}));
  EXPECT_EQ(call("CumProd", 0, 1), (std::vector<int64_t>{6, 6, 3}));
  OpCall("CumSum", 14).in(x).in(ints({}, {1})).error();
}

TEST(TopK, OrderTiesAndNan) {
  Tensor x = floats({1, 5}, {1, 4, 4, kNan, 2});
  OpCall call("TopK", 11);
  call.in(x).in(int_list({3})).outputs(2);
  EXPECT_EQ(values<int64_t>(call.output(1)), (std::vector<int64_t>{3, 1, 2}));
  Tensor smallest =
      OpCall("TopK", 11).in(x).in(int_list({2})).attr("largest", int64_t{0}).outputs(2).output(0);
  EXPECT_EQ(values<float>(smallest), (std::vector<float>{1, 2}));
  OpCall("TopK", 11).in(x).in(int_list({6})).outputs(2).error();
  EXPECT_EQ(OpCall("TopK", 11).in(x).in(int_list({0})).outputs(2).output(0).dims(), (Dims{1, 0}));
}

TEST(NonZero, GivesCoordinatesByRow) {
  Tensor y = OpCall("NonZero", 13).in(ints({2, 2}, {0, 5, 6, 0})).output();
  EXPECT_EQ(y.dims(), (Dims{2, 2}));
  EXPECT_EQ(values<int64_t>(y), (std::vector<int64_t>{0, 1, 1, 0}));
  EXPECT_EQ(OpCall("NonZero", 13).in(ints({}, {3})).output().dims(), (Dims{0, 1}));
}

TEST(Unique, SortedOrNotAndAlongAnAxis) {
  OpCall flat("Unique", 11);
  flat.in(floats({6}, {2, 1, 1, 3, 4, 3})).attr("sorted", int64_t{0}).outputs(4);
  EXPECT_EQ(values<float>(flat.output(0)), (std::vector<float>{2, 1, 3, 4}));
  EXPECT_EQ(values<int64_t>(flat.output(1)), (std::vector<int64_t>{0, 1, 3, 4}));
  EXPECT_EQ(values<int64_t>(flat.output(2)), (std::vector<int64_t>{0, 1, 1, 2, 3, 2}));
  EXPECT_EQ(values<int64_t>(flat.output(3)), (std::vector<int64_t>{1, 2, 2, 1}));
  Tensor columns =
      OpCall("Unique", 11).in(ints({2, 3}, {2, 1, 2, 0, 5, 0})).attr("axis", int64_t{1}).output();
  EXPECT_EQ(columns.dims(), (Dims{2, 2}));
  EXPECT_EQ(values<int64_t>(columns), (std::vector<int64_t>{1, 2, 5, 0}));
}

TEST(Compress, FlatAndAlongAnAxis) {
  Tensor x = ints({2, 2}, {1, 2, 3, 4});
  Tensor c = tensor<bool>({2}, {false, true});
  EXPECT_EQ(values<int64_t>(OpCall("Compress", 11).in(x).in(c).output()),
            (std::vector<int64_t>{2}));
  EXPECT_EQ(values<int64_t>(OpCall("Compress", 11).in(x).in(c).attr("axis", int64_t{-1}).output()),
            (std::vector<int64_t>{2, 4}));
  OpCall("Compress", 11).in(x).in(tensor<bool>({5}, {true, true, true, true, true})).error();
}

}  // namespace
}  // namespace fewbit::ops
