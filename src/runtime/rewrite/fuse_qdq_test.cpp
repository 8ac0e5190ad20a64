// What fuses into which operator, and what must not; that the codes are right is tested with the
// kernels behind it (lower/lower_int8_test.cpp).

#include <gtest/gtest.h>

#include "graph/infer.h"
#include "runtime/model_test_support.h"
#include "runtime/rewrite/rewrite.h"

namespace fewbit {
namespace {

using test::count_nodes;
using test::ModelBuilder;

struct Case {
  float in_scale = 0.02F;
  int in_zero = 0;
  float out_scale = 0.02F;
  int out_zero = 0;
  DType out_type = DType::kUint8;
};

// x_codes -> DequantizeLinear -> op -> QuantizeLinear -> y
ModelBuilder around(const std::string& op, const Case& c,
                    const test::NodeAttributes& attributes = {}, const test::Names& more = {}) {
  ModelBuilder b;
  b.input("x", {1, 4, 6, 6}, DType::kUint8).params("x", c.in_scale, c.in_zero);
  b.params("y", c.out_scale, c.out_zero, c.out_type);
  b.random("bound", {1, 4, 1, 1}).random("w", {4, 4, 1, 1});
  b.node("DequantizeLinear", {"x", "x_scale", "x_zero"}, "xr");
  test::Names inputs = {"xr"};
  inputs.insert(inputs.end(), more.begin(), more.end());
  b.node(op, inputs, "yr", attributes);
  b.node("QuantizeLinear", {"yr", "y_scale", "y_zero"}, "y").output({"y"});
  return b;
}

int fused(ModelBuilder& b, const RewriteContext& context = {}) {
  EXPECT_TRUE(infer_graph(b.graph).ok());
  auto count = fuse_qdq(b.graph, context);
  EXPECT_TRUE(count.ok());
  return count.ok() ? *count : -1;
}

TEST(FuseQdq, MovesNeedTheSameParametersOnBothSides) {
  const test::NodeAttributes pool = {{"kernel_shape", std::vector<int64_t>{2, 2}}};
  ModelBuilder same = around("MaxPool", {}, pool);
  EXPECT_EQ(fused(same), 1);
  EXPECT_EQ(count_nodes(same.graph, "QuantizeLinear"), 0);
  for (const Case& c :
       {Case{.out_scale = 0.021F}, Case{.out_zero = 1}, Case{.out_type = DType::kInt8}}) {
    ModelBuilder other = around("MaxPool", c, pool);
    EXPECT_EQ(fused(other), 0);
  }
  ModelBuilder bound = around("Min", {}, {}, {"bound"});
  EXPECT_EQ(fused(bound), 1);
  ModelBuilder other_bound = around("Min", {.out_scale = 0.01F}, {}, {"bound"});
  EXPECT_EQ(fused(other_bound), 0);
}

TEST(FuseQdq, ElementwiseFunctionsBecomeTables) {
  for (const char* op : {"Sigmoid", "HardSwish", "Tanh", "Relu"}) {
    ModelBuilder b = around(op, {.out_scale = 0.01F, .out_zero = 7});
    EXPECT_EQ(fused(b), 1) << op;
    EXPECT_EQ(count_nodes(b.graph, "QTable"), 1) << op;
  }
  // An operator that the table of patterns does not list.
  ModelBuilder b = around("Sin", {});
  EXPECT_EQ(fused(b), 0);
}

TEST(FuseQdq, WatchedValuesAndGraphOutputsAreNotFusedAway) {
  ModelBuilder watched = around("Sigmoid", {});
  EXPECT_EQ(fused(watched, {{"yr"}, 0}), 0);
  ModelBuilder out = around("Sigmoid", {});
  out.output({"yr"});
  EXPECT_EQ(fused(out), 0);
}

TEST(FuseQdq, ConvolutionsNeedConstantCodesAndAQuantizer) {
  ModelBuilder float_weight = around("Conv", {}, {}, {"w"});
  EXPECT_EQ(fused(float_weight), 0);

  auto conv = [](float bias_scale, bool quantizer) {
    ModelBuilder b;
    b.input("x", {1, 2, 3, 3}, DType::kUint8)
        .params("x", 0.5F, 3)
        .params("w", 0.25F, 0, DType::kInt8);
    b.constant("wq", Tensor::zeros(DType::kInt8, {4, 2, 1, 1})).params("y", 1.0F, 0);
    b.constant("bq", Tensor::zeros(DType::kInt32, {4}));
    b.constant("b_scale", Tensor::scalar(bias_scale));
    b.node("DequantizeLinear", {"x", "x_scale", "x_zero"}, "xr");
    b.node("DequantizeLinear", {"wq", "w_scale", "w_zero"}, "wr");
    b.node("DequantizeLinear", {"bq", "b_scale"}, "br").node("Conv", {"xr", "wr", "br"}, "yr");
    if (quantizer) b.node("QuantizeLinear", {"yr", "y_scale", "y_zero"}, "y");
    return b.output({quantizer ? "y" : "yr"});
  };
  ModelBuilder good = conv(0.125F, true);
  EXPECT_EQ(fused(good), 1);
  EXPECT_EQ(count_nodes(good.graph, "QLinearConv"), 1);
  ModelBuilder other_bias = conv(0.13F, true);
  EXPECT_EQ(fused(other_bias), 0) << "the bias has another scale than the products";
  ModelBuilder open = conv(0.125F, false);
  EXPECT_EQ(fused(open), 0);
}

TEST(FuseQdq, ABiasForEachRowOfAProductIsNoneForEachChannel) {
  for (const Dims& dims : {Dims{4}, Dims{1, 4}, Dims{4, 1}}) {
    ModelBuilder b;
    b.input("x", {4, 3}, DType::kUint8).params("x", 0.5F, 3).params("w", 0.25F, 0, DType::kInt8);
    b.constant("wq", Tensor::zeros(DType::kInt8, {3, 4})).random("bias", dims);
    b.node("DequantizeLinear", {"x", "x_scale", "x_zero"}, "xr");
    b.node("DequantizeLinear", {"wq", "w_scale", "w_zero"}, "wr");
    b.node("Gemm", {"xr", "wr", "bias"}, "y").output({"y"});
    EXPECT_EQ(fused(b), dims.back() == 4 ? 1 : 0);
  }
}

TEST(FuseQdq, ActivationsThatCutCodesBecomeAClipOnThem) {
  for (int zero : {0, 50}) {
    ModelBuilder b;
    b.input("x", {4}, DType::kUint8).params("x", 0.5F, 3).params("y", 0.5F, zero);
    b.node("DequantizeLinear", {"x", "x_scale", "x_zero"}, "xr").node("Add", {"xr", "xr"}, "s");
    b.node("Relu", {"s"}, "r")
        .node("QuantizeLinear", {"r", "y_scale", "y_zero"}, "y")
        .output({"y"});
    EXPECT_EQ(fused(b), 1);
    EXPECT_EQ(count_nodes(b.graph, "QLinearAdd"), 1);
    EXPECT_EQ(count_nodes(b.graph, "Relu"), 0);
    EXPECT_EQ(count_nodes(b.graph, "Clip"), zero == 0 ? 0 : 1);
  }
}

}  // namespace
}  // namespace fewbit
