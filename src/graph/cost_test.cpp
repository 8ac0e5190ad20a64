#include "graph/cost.h"

#include "graph/test_graph.h"

namespace fewbit::testing {
namespace {

GraphCost inferred_cost(TestGraph& g) {
  Status status = infer_graph(g.graph);
  EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message());
  return cost_of(g.graph);
}

TEST(Cost, Convolution) {
  TestGraph g;
  ValueId y = g.node(
      "Conv", {g.input("x", {2, 6, 8, 8}), g.weights("w", {4, 3, 3, 3}), g.weights("b", {4})},
      {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}, {"group", int64_t{2}}});
  g.node("Relu", {y});
  GraphCost cost = inferred_cost(g);
  // 2 x 4 x 4 x 4 outputs, each over 3 channels of 3 x 3.
  EXPECT_EQ(cost.macs, 2 * 4 * 4 * 4 * 3 * 3 * 3);
  EXPECT_EQ(cost.parameters, 4 * 3 * 3 * 3 + 4);
  ASSERT_EQ(cost.nodes.size(), 2U);
  EXPECT_EQ(cost.nodes[1].macs, 0);
}

TEST(Cost, TransposedConvolution) {
  TestGraph g;
  g.node("ConvTranspose", {g.input("x", {1, 6, 5, 5}), g.weights("w", {6, 4, 2, 2})},
         {{"strides", Ints{2, 2}}});
  // 1 x 6 x 5 x 5 inputs, each spread over 4 channels of 2 x 2.
  EXPECT_EQ(inferred_cost(g).macs, 6 * 25 * 4 * 4);
}

TEST(Cost, ProductsAndSharedWeights) {
  TestGraph g;
  ValueId w = g.weights("w", {16, 16});
  ValueId y = g.node("MatMul", {g.input("x", {3, 5, 16}), w});
  g.node("MatMul", {y, w});
  GraphCost cost = inferred_cost(g);
  EXPECT_EQ(cost.macs, 2 * 3 * 5 * 16 * 16);
  EXPECT_EQ(cost.parameters, 16 * 16);
  TestGraph h;
  h.node("Gemm", {h.input("x", {16, 5}), h.weights("w", {7, 16}), h.weights("b", {7})},
         {{"transA", int64_t{1}}, {"transB", int64_t{1}}});
  EXPECT_EQ(inferred_cost(h).macs, 5 * 16 * 7);
}

TEST(Cost, Lstm) {
  TestGraph g;
  g.nodes("LSTM", {g.input("x", {9, 2, 5}), g.weights("w", {1, 12, 5}), g.weights("r", {1, 12, 3})},
          1, {{"hidden_size", int64_t{3}}});
  // 9 steps of 2 sequences, 4 gates of 3, each over 5 inputs and 3 states.
  EXPECT_EQ(inferred_cost(g).macs, 9 * 2 * 4 * 3 * (5 + 3));
}

TEST(Cost, AttentionOfPackedHeads) {
  TestGraph g;
  g.node("Attention",
         {g.input("q", {2, 5, 24}), g.input("k", {2, 7, 12}), g.input("v", {2, 7, 20})},
         {{"q_num_heads", int64_t{4}}, {"kv_num_heads", int64_t{2}}});
  g.graph.node(0).opset = 23;
  // 4 heads of 5 queries and 7 keys: 6 products for the score, 10 for the sum.
  EXPECT_EQ(inferred_cost(g).macs, 2 * 4 * 5 * 7 * (6 + 10));
}

TEST(Cost, QuantizedWeightsCountOnceAndScalesDoNot) {
  TestGraph g;
  ValueId w = g.graph.add_constant("w", Tensor::zeros(DType::kInt8, {16, 4}));
  ValueId scale = g.weights("scale", {4});
  ValueId zero = g.graph.add_constant("zero", Tensor::zeros(DType::kInt8, {4}));
  ValueId real = g.node("DequantizeLinear", {w, scale, zero}, {{"axis", int64_t{1}}});
  g.node("MatMul", {g.input("x", {3, 16}), real});
  GraphCost cost = inferred_cost(g);
  EXPECT_EQ(cost.parameters, 64);
  EXPECT_EQ(cost.macs, 3 * 16 * 4);
}

TEST(Cost, UnknownShapesAreCounted) {
  TestGraph g;
  g.node("MatMul", {g.input("x", {"n", 16}), g.weights("w", {16, 4})});
  GraphCost cost = inferred_cost(g);
  EXPECT_EQ(cost.macs, 0);
  EXPECT_EQ(cost.unknown_nodes, 1);
}

}  // namespace
}  // namespace fewbit::testing
