#include "passes/quantize_dynamic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graph/infer.h"
#include "runtime/model_test_support.h"

namespace fewbit {
namespace {

using test::count_nodes;
using test::ModelBuilder;
using test::random_tensor;

constexpr int64_t kTokens = 5;
constexpr int64_t kDepth = 24;
constexpr int64_t kWidth = 20;

QuantScheme scheme_of(const std::string& text, bool symmetric) {
  auto scheme = parse_scheme(text);
  EXPECT_TRUE(scheme.ok());
  scheme->activation_symmetric = symmetric;
  return *scheme;
}

// Two products that read x (one of them with an added bias), and a Gemm stored either way round.
ModelBuilder layers(int opset, int64_t transposed) {
  ModelBuilder b(opset);
  b.input("x", {-1, kTokens, kDepth}).random("w1", {kDepth, kWidth}).random("b1", {kWidth});
  b.random("w2", {kDepth, kWidth}, -0.1F, 0.1F);
  b.random("w3", transposed != 0 ? Dims{7, kWidth} : Dims{kWidth, 7}).random("b3", {1, 7});
  b.node("MatMul", {"x", "w1"}, "p").node("Add", {"p", "b1"}, "a").node("Relu", {"a"}, "r");
  b.node("MatMul", {"x", "w2"}, "q").node("Add", {"r", "q"}, "s");
  b.constant("flat", Tensor::from({2}, std::vector<int64_t>{-1, kWidth}));
  b.node("Reshape", {"s", "flat"}, "f");
  b.node("Gemm", {"f", "w3", "b3"}, "y", {{"transB", transposed}}).output({"y"});
  return b;
}

QuantizedGraph quantized(Model& model, const QuantScheme& scheme) {
  EXPECT_TRUE(infer_graph(model.graph).ok());
  auto q = quantize_dynamic(model.graph, place_quantizers(model.graph, scheme), scheme);
  EXPECT_TRUE(q.ok()) << (q.ok() ? "" : q.error().message());
  return q.ok() ? std::move(q).value() : QuantizedGraph{};
}

std::vector<std::string> kernels_of(const Model& model, const Feeds& feeds, std::string_view op) {
  Session session = test::session_of(model);
  session.set_profiling(true);
  test::run(session, feeds);
  std::vector<std::string> kernels;
  for (const StepProfile& step : session.profile()) {
    if (step.op == op) kernels.push_back(step.kernel);
  }
  return kernels;
}

struct Case {
  std::string scheme;
  bool symmetric;
};

class Dynamic : public ::testing::TestWithParam<Case> {};

// Codes are the same in both ways of running: what differs is the order of a few float operations.
// A sum differs by units of the last place, which may move one code of a later layer by one step:
// at most a 127th of its row's range, through a product of kWidth weights of magnitude <= 1.
TEST_P(Dynamic, FusedEqualsWrittenOutEqualsFloat) {
  for (int opset : {13, 17, 18, 21}) {
    for (int64_t transposed : {0, 1}) {
      Model before = layers(opset, transposed).model;
      QuantizedGraph q = quantized(before, scheme_of(GetParam().scheme, GetParam().symmetric));
      ASSERT_EQ(q.layers.size(), 3U);
      Model after = before;
      after.graph = q.graph;
      EXPECT_EQ(count_nodes(after.graph, "MatMulInteger"), 3);
      EXPECT_EQ(count_nodes(after.graph, "Gemm"), 0);
      // Two layers read x: it is quantized once.
      EXPECT_EQ(count_nodes(after.graph, "DynamicQuantizeLinear"),
                GetParam().scheme == "w8a8:dynamic" ? 2 : 0);
      Feeds feeds = {{"x", random_tensor({2, kTokens, kDepth}, 3, -2, 3)}};
      test::expect_same_optimized(after, feeds, 1.0 / 127);
      auto kernels = kernels_of(after, feeds, "QDynamicMatMul");
      ASSERT_EQ(kernels.size(), 3U);
      for (const std::string& k : kernels) EXPECT_EQ(k.substr(0, 10), "int8_gemm/");
      // Errors of 1/254 and 1/510 of the largest input and weight, in sums of kDepth random signs.
      auto exact = test::run_model(before, feeds, false);
      auto fast = test::run_model(after, feeds, true);
      EXPECT_LE(test::relative_difference(exact[0].tensor(), fast[0].tensor()), 0.02);
    }
  }
}

TEST_P(Dynamic, RowsOfZerosAndConstantsStayFinite) {
  Model before = layers(17, 0).model;
  QuantizedGraph q = quantized(before, scheme_of(GetParam().scheme, GetParam().symmetric));
  Model after = before;
  after.graph = q.graph;
  Tensor x = Tensor::zeros(DType::kFloat32, {1, kTokens, kDepth});
  for (int64_t i = 0; i < kDepth; ++i) {
    x.data<float>()[kDepth + i] = 3.0F;
    x.data<float>()[2 * kDepth + i] = -2.0F;
  }
  test::expect_same_optimized(after, {{"x", x}}, 1.0 / 127);
  auto exact = test::run_model(before, {{"x", x}}, false);
  auto fast = test::run_model(after, {{"x", x}}, true);
  EXPECT_LE(test::relative_difference(exact[0].tensor(), fast[0].tensor()), 0.02);
}

// A small row beside a large one keeps its precision only where it has its own scale.
TEST_P(Dynamic, RowsKeepTheirOwnScale) {
  ModelBuilder b;
  b.input("x", {2, kDepth}).random("w", {kDepth, kWidth}).node("MatMul", {"x", "w"}, "y");
  b.output({"y"});
  QuantizedGraph q = quantized(b.model, scheme_of(GetParam().scheme, GetParam().symmetric));
  Model after = b.model;
  after.graph = q.graph;
  Tensor x = random_tensor({2, kDepth}, 5);
  for (int64_t i = 0; i < kDepth; ++i) x.data<float>()[i] *= 1000;
  auto exact = test::run_model(b.model, {{"x", x}}, false);
  auto fast = test::run_model(after, {{"x", x}}, true);
  auto row = [&](const std::vector<RuntimeValue>& v) {
    return Tensor::from({kWidth}, std::vector<float>(v[0].tensor().data<float>() + kWidth,
                                                     v[0].tensor().data<float>() + 2 * kWidth));
  };
  double error = test::relative_difference(row(exact), row(fast));
  if (GetParam().scheme.find("token") != std::string::npos) {
    EXPECT_LE(error, 0.02);
  } else {
    EXPECT_GE(error, 0.1);  // below a quarter of a step: every code is the zero-point
  }
}

TEST_P(Dynamic, AsymmetricWeights) {
  ModelBuilder b;
  b.input("x", {3, kDepth}).random("w", {kDepth, kWidth}, 0.5F, 1.5F);
  b.node("MatMul", {"x", "w"}, "y").output({"y"});
  QuantScheme scheme = scheme_of(GetParam().scheme, GetParam().symmetric);
  scheme.weight_symmetric = false;
  QuantizedGraph q = quantized(b.model, scheme);
  Model after = b.model;
  after.graph = q.graph;
  Feeds feeds = {{"x", random_tensor({3, kDepth}, 9)}};
  // One layer: only the order of float operations differs.
  test::expect_same_optimized(after, feeds, 1e-6);
  EXPECT_EQ(kernels_of(after, feeds, "QDynamicMatMul").size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Schemes, Dynamic,
                         ::testing::Values(Case{"w8a8:dynamic", false}, Case{"w8a8:token", false},
                                           Case{"w8a8:token", true},
                                           Case{"w8a8:tensor:token", true}),
                         [](const auto& row) {
                           std::string name = row.param.scheme + (row.param.symmetric ? "_s" : "");
                           std::replace(name.begin(), name.end(), ':', '_');
                           return name;
                         });

TEST(QuantizeDynamic, ConvolutionsStayFloatWithTheReason) {
  ModelBuilder b;
  b.input("x", {1, 3, 8, 8}).random("w", {4, 3, 3, 3}).node("Conv", {"x", "w"}, "c");
  b.random("v", {6, 5}).node("MatMul", {"c", "v"}, "y").output({"y"});
  ASSERT_TRUE(infer_graph(b.graph).ok());
  Placement placement = place_quantizers(b.graph, scheme_of("w8a8:dynamic", false));
  ASSERT_EQ(placement.layers.size(), 2U);
  EXPECT_FALSE(placement.layers[0].integer);
  EXPECT_EQ(placement.layers[0].reason, "dynamic quantization covers MatMul and Gemm");
  EXPECT_TRUE(placement.layers[1].weighted);
}

TEST(QuantizeDynamic, SumsThatCouldOverflowStayFloat) {
  ModelBuilder b;
  const int64_t deep = kMaxDynamicDepth + 1;
  b.input("x", {1, deep}).random("w", {deep, 1}).node("MatMul", {"x", "w"}, "y").output({"y"});
  ASSERT_TRUE(infer_graph(b.graph).ok());
  Placement placement = place_quantizers(b.graph, scheme_of("w8a8:token", false));
  EXPECT_EQ(placement.layers.at(0).reason, "its sums could overflow int32");
}

TEST(QuantizeDynamic, RefusesWhatItCannotWrite) {
  Model model = layers(17, 0).model;
  ASSERT_TRUE(infer_graph(model.graph).ok());
  QuantScheme symmetric = scheme_of("w8a8:dynamic", true);
  auto q = quantize_dynamic(model.graph, place_quantizers(model.graph, symmetric), symmetric);
  ASSERT_FALSE(q.ok());
  EXPECT_NE(q.error().message().find(":token"), std::string::npos);

  QuantScheme token = scheme_of("w8a8:token", false);
  Tensor bad = random_tensor({kDepth, kWidth}, 1);
  bad.data<float>()[3] = NAN;
  model.graph.value(model.graph.find_value("w2")).constant = std::make_shared<Tensor>(bad);
  q = quantize_dynamic(model.graph, place_quantizers(model.graph, token), token);
  ASSERT_FALSE(q.ok());
  EXPECT_NE(q.error().message().find("w2"), std::string::npos);
}

}  // namespace
}  // namespace fewbit
