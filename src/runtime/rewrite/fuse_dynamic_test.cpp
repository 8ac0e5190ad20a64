// ONNX Runtime's own operators for dynamic quantization, and near misses that must stay as they
// are.

#include <gtest/gtest.h>

#include "graph/infer.h"
#include "runtime/model_test_support.h"
#include "runtime/rewrite/rewrite.h"

namespace fewbit {
namespace {

using test::count_nodes;
using test::ModelBuilder;
using test::random_tensor;

constexpr int64_t kDepth = 33;
constexpr int64_t kWidth = 18;
// One product: the float operations behind the sums come in another order.
constexpr double kRounding = 1e-6;

ModelBuilder with_weight() {
  ModelBuilder b;
  Tensor w = Tensor::uninitialized(DType::kInt8, {kDepth, kWidth});
  for (int64_t i = 0; i < w.elements(); ++i) {
    w.data<int8_t>()[i] = static_cast<int8_t>(i * 37 % 255 - 127);
  }
  b.input("x", {4, kDepth}).constant("w", w).random("w_scale", {kWidth}, 0.01F, 0.02F);
  return b.random("bias", {kWidth}).constant("w_zero", Tensor::scalar(int8_t{3}));
}

void in_microsoft_domain(ModelBuilder& b) {
  Node& node = b.graph.node(b.graph.order().back());
  node.domain = "com.microsoft";
  node.opset = 1;
}

int fuse(Graph& graph, const RewriteContext& context = {}) {
  EXPECT_TRUE(infer_graph(graph).ok());
  auto fused = fuse_dynamic(graph, context);
  EXPECT_TRUE(fused.ok());
  return fused.ok() ? *fused : -1;
}

void expect_fused(ModelBuilder& b) {
  Feeds feeds = {{"x", random_tensor({4, kDepth}, 2, -1, 2)}};
  test::expect_same_optimized(b.model, feeds, kRounding);
  EXPECT_EQ(fuse(b.graph), 1);
  EXPECT_EQ(count_nodes(b.graph, "QDynamicMatMul"), 1);
  EXPECT_EQ(count_nodes(b.graph, "DynamicQuantizeLinear"), 1);
  EXPECT_EQ(b.graph.node_count(), 2U);
}

ModelBuilder written_out(const test::Names& scaled = {"x_scale", "w_scale"}) {
  ModelBuilder b = with_weight();
  b.node("DynamicQuantizeLinear", {"x"}, test::Names{"q", "x_scale", "x_zero"});
  b.node("MatMulInteger", {"q", "w", "x_zero", "w_zero"}, "sums");
  b.node("Cast", {"sums"}, "real", {{"to", static_cast<int64_t>(DType::kFloat32)}});
  b.node("Mul", scaled, "scale").node("Mul", {"scale", "real"}, "p");
  return b.node("Add", {"bias", "p"}, "y").output({"y"});
}

TEST(FuseDynamic, TheSequenceWrittenByExporters) {
  ModelBuilder b = written_out();
  expect_fused(b);
}

TEST(FuseDynamic, MatMulIntegerToFloat) {
  ModelBuilder b = with_weight();
  b.node("DynamicQuantizeLinear", {"x"}, test::Names{"q", "x_scale", "x_zero"});
  b.node("MatMulIntegerToFloat", {"q", "w", "x_scale", "w_scale", "x_zero", "w_zero", "bias"}, "y");
  in_microsoft_domain(b);
  b.output({"y"});
  expect_fused(b);
}

TEST(FuseDynamic, DynamicQuantizeMatMul) {
  for (bool full : {true, false}) {
    ModelBuilder b = with_weight();
    b.node("DynamicQuantizeMatMul",
           full ? test::Names{"x", "w", "w_scale", "w_zero", "bias"}
                : test::Names{"x", "w", "w_scale"},
           "y");
    in_microsoft_domain(b);
    b.output({"y"});
    expect_fused(b);
  }
}

TEST(FuseDynamic, LeavesWhatIsWatched) {
  for (const char* name : {"sums", "real"}) {
    ModelBuilder b = written_out();
    RewriteContext context;
    context.keep = {name};
    EXPECT_EQ(fuse(b.graph, context), 0);
  }
  ModelBuilder b = written_out();
  RewriteContext context;
  context.keep = {"p"};  // the bias stays behind it
  EXPECT_EQ(fuse(b.graph, context), 1);
  EXPECT_EQ(count_nodes(b.graph, "Add"), 1);
}

TEST(FuseDynamic, LeavesAScaleThatIsNotTheInputs) {
  ModelBuilder b = written_out({"w_scale", "w_scale"});
  EXPECT_EQ(fuse(b.graph), 0);
  Feeds feeds = {{"x", random_tensor({4, kDepth}, 2)}};
  test::expect_same_optimized(b.model, feeds, kRounding);
}

}  // namespace
}  // namespace fewbit
