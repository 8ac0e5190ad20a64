#include "passes/placement.h"

#include <gtest/gtest.h>

#include "graph/infer.h"
#include "runtime/model_test_support.h"

namespace fewbit {
namespace {

using test::ModelBuilder;

Placement place(ModelBuilder& b, const QuantScheme& scheme = {}) {
  EXPECT_TRUE(infer_graph(b.graph).ok());
  return place_quantizers(b.graph, scheme);
}

// Names of the values with codes -> name of the value whose parameters they have.
std::map<std::string, std::string> quantized(const ModelBuilder& b, const Placement& p) {
  std::map<std::string, std::string> out;
  for (const auto& [value, source] : p.quantized) {
    out[b.graph.value(value).name] = b.graph.value(source).name;
  }
  return out;
}
using Quantized = std::map<std::string, std::string>;

const LayerPlacement& layer(const Placement& p, const std::string& name) {
  for (const LayerPlacement& l : p.layers) {
    if (l.name == name) return l;
  }
  ADD_FAILURE() << "no layer " << name;
  return p.layers.front();
}

ModelBuilder conv_relu_conv() {
  ModelBuilder b;
  b.input("x", {1, 4, 6, 6}).random("w1", {4, 4, 1, 1}).random("w2", {4, 4, 1, 1});
  b.node("Conv", {"x", "w1"}, "c1").node("Relu", {"c1"}, "r").node("Conv", {"r", "w2"}, "c2");
  b.output({"c2"});
  return b;
}

TEST(Placement, QuantizersStandBehindFusedGroups) {
  ModelBuilder b = conv_relu_conv();
  Placement p = place(b);
  EXPECT_EQ(quantized(b, p), (Quantized{{"x", "x"}, {"r", "r"}, {"c2", "c2"}}));
  ASSERT_EQ(p.absorbed.size(), 1U);
  EXPECT_EQ(b.graph.value(p.absorbed.begin()->first).name, "r");
  EXPECT_TRUE(layer(p, "node_c1").integer && layer(p, "node_c1").weighted);
  EXPECT_TRUE(layer(p, "node_r").integer);
  EXPECT_FALSE(layer(p, "node_r").weighted);
}

TEST(Placement, AGemmsBiasForEachRowOfItsOutputIsNoBiasOfChannels) {
  for (const Dims& bias : {Dims{4}, Dims{1, 4}, Dims{4, 1}}) {
    ModelBuilder b;
    b.input("x", {4, 3}).random("w", {3, 4}).random("b", bias);
    b.node("Gemm", {"x", "w", "b"}, "y").output({"y"});
    Placement p = place(b);
    EXPECT_EQ(layer(p, "node_y").integer, bias.back() == 4) << to_string(bias);
  }
}

TEST(Placement, AnActivationThatIsNotTheOnlyReaderIsNotAbsorbed) {
  ModelBuilder b = conv_relu_conv();
  b.node("Sin", {"c1"}, "other").output({"other"});
  Placement p = place(b);
  EXPECT_TRUE(p.absorbed.empty());
  EXPECT_EQ(quantized(b, p).count("c1"), 1U);
}

TEST(Placement, ResidualAdditionsTakeCodesFromBothSides) {
  ModelBuilder b = conv_relu_conv();
  b.node("Add", {"c2", "x"}, "s").node("Relu", {"s"}, "y");
  b.graph.outputs.clear();
  b.output({"y"});
  Placement p = place(b);
  EXPECT_EQ(quantized(b, p), (Quantized{{"x", "x"}, {"r", "r"}, {"c2", "c2"}, {"y", "y"}}));
  EXPECT_TRUE(layer(p, "node_s").integer);
}

TEST(Placement, ConcatInputsThatNobodyElseReadsShareItsParameters) {
  ModelBuilder b;
  b.input("x", {1, 4, 6, 6}).random("w1", {4, 4, 1, 1}).random("w2", {4, 4, 1, 1});
  b.node("Conv", {"x", "w1"}, "a").node("Conv", {"x", "w2"}, "c").random("w3", {4, 12, 1, 1});
  b.node("Concat", {"a", "c", "x"}, "cat", {{"axis", int64_t{1}}});
  b.node("Conv", {"cat", "w3"}, "y").output({"y"});
  Placement p = place(b);
  EXPECT_EQ(quantized(b, p),
            (Quantized{{"x", "x"}, {"a", "cat"}, {"c", "cat"}, {"cat", "cat"}, {"y", "y"}}));
}

TEST(Placement, MovesShareTheirInputsParameters) {
  ModelBuilder b;
  b.input("x", {1, 4, 6, 6}).random("w1", {4, 4, 1, 1}).random("w2", {36, 5});
  b.constant("s", Tensor::from({2}, std::vector<int64_t>{4, 36}));
  b.node("Conv", {"x", "w1"}, "a").node("Transpose", {"a"}, "t");
  b.node("Reshape", {"t", "s"}, "f").node("MatMul", {"f", "w2"}, "y").output({"y"});
  Placement p = place(b);
  EXPECT_EQ(quantized(b, p), (Quantized{{"x", "x"}, {"a", "a"}, {"t", "a"}, {"f", "a"}}));
}

TEST(Placement, MovesWhoseCodesNobodyReadsStayInFloat) {
  ModelBuilder b;
  b.input("x", {1, 4, 6, 6}).random("w1", {4, 4, 1, 1}).node("Conv", {"x", "w1"}, "a");
  b.node("Flatten", {"a"}, "f").node("Sin", {"f"}, "y").output({"y"});
  Placement p = place(b);
  EXPECT_EQ(quantized(b, p).count("f"), 0U);
  EXPECT_FALSE(layer(p, "node_f").integer);
  EXPECT_NE(layer(p, "node_f").reason, "");
}

TEST(Placement, EveryLayerInFloatHasAReason) {
  ModelBuilder b = conv_relu_conv();
  b.random("k", {1, 4, 1, 1}).node("Mul", {"c2", "k"}, "m").node("Sin", {"m"}, "sin");
  b.node("Softmax", {"r"}, "soft").node("Conv", {"x", "dynamic"}, "d").output({"sin", "soft", "d"});
  b.graph.inputs.push_back(b.graph.find_value("dynamic"));
  b.graph.value(b.graph.inputs.back()).type =
      ValueType::tensor(DType::kFloat32, Shape{Dim::of(4), Dim::of(4), Dim::of(1), Dim::of(1)});
  QuantScheme scheme;
  scheme.float_layers = {"node_c2"};
  Placement p = place(b, scheme);
  int floats = 0;
  for (const LayerPlacement& l : p.layers) {
    if (l.integer) continue;
    ++floats;
    EXPECT_NE(l.reason, "") << l.name;
    EXPECT_FALSE(l.weighted) << l.name;
  }
  EXPECT_EQ(floats, 5);
  EXPECT_NE(layer(p, "node_c2").reason.find("recipe"), std::string::npos);
  EXPECT_NE(layer(p, "node_d").reason.find("weight"), std::string::npos);
  EXPECT_NE(layer(p, "node_sin").reason.find("no integer form"), std::string::npos);
}

TEST(Placement, OtherSchemesPlaceOnlyTheWeights) {
  for (Activations activations : {Activations::kFloat, Activations::kDynamic}) {
    ModelBuilder b;
    b.input("x", {5, 4}).random("w1", {4, 4}).random("w2", {4, 4});
    b.node("MatMul", {"x", "w1"}, "m").node("Relu", {"m"}, "r").node("MatMul", {"r", "w2"}, "y");
    b.node("MatMul", {"m", "y"}, "z").output({"z"});
    b.graph.value(b.graph.inputs.front()).type =
        ValueType::tensor(DType::kFloat32, Shape{Dim::of(4), Dim::of(4)});
    QuantScheme scheme;
    scheme.activations = activations;
    Placement p = place(b, scheme);
    EXPECT_TRUE(p.quantized.empty());
    EXPECT_TRUE(p.absorbed.empty());
    EXPECT_TRUE(layer(p, "node_m").weighted && layer(p, "node_y").weighted);
    EXPECT_FALSE(layer(p, "node_z").integer);
    EXPECT_FALSE(layer(p, "node_r").integer);
  }
}

TEST(Placement, UnnamedLayersAreCalledAfterTheirOutput) {
  ModelBuilder b = conv_relu_conv();
  for (NodeId id : b.graph.order()) b.graph.node(id).name.clear();
  Placement p = place(b);
  EXPECT_EQ(p.layers.front().name, "c1");
}

}  // namespace
}  // namespace fewbit
