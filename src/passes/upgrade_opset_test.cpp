// The outputs of upgraded models are compared with ONNX Runtime's in
// tests/interop/test_upgrade_opset.py; here: the forms, what is refused, sub-graphs.

#include "passes/upgrade_opset.h"

#include <gtest/gtest.h>

#include "graph/infer.h"
#include "runtime/model_test_support.h"

namespace fewbit {
namespace {

using test::count_nodes;
using test::ModelBuilder;
using test::NodeAttributes;
using test::random_tensor;
using Ints = std::vector<int64_t>;

Result<int> upgrade(ModelBuilder& b, int target = 13) {
  EXPECT_TRUE(infer_graph(b.graph).ok());
  auto changed = upgrade_opset(b.model, target);
  if (changed.ok()) {
    EXPECT_TRUE(infer_graph(b.graph).ok());
  }
  return changed;
}

struct Case {
  const char* op;
  int opset;
  NodeAttributes attributes;
  Dims dims = {2, 3, 4, 4};
};

TEST(UpgradeOpset, OneNodeGivesTheSameOutput) {
  const Case cases[] = {
      {"Clip", 7, {{"min", -0.5F}, {"max", 0.25F}}},
      {"Clip", 10, {{"max", 0.25F}}},
      {"Clip", 6 + 1, {}},
      {"Pad", 9, {{"pads", Ints{0, 0, 1, 2, 0, 0, 2, 1}}, {"value", 1.5F}}},
      {"Pad", 7, {{"pads", Ints{0, 0, 1, 1, 0, 0, 1, 1}}, {"mode", std::string("reflect")}}},
      {"Slice", 9, {{"starts", Ints{1, 0}}, {"ends", Ints{1000, -1}}, {"axes", Ints{1, 3}}}},
      {"Slice", 7, {{"starts", Ints{1}}, {"ends", Ints{2}}}},
      {"Softmax", 11, {}},
      {"Softmax", 9, {{"axis", int64_t{3}}}},
      {"LogSoftmax", 12, {{"axis", int64_t{2}}}},
      {"Hardmax", 11, {{"axis", int64_t{-2}}}},
      {"Squeeze", 11, {{"axes", Ints{1}}}, {2, 1, 3}},
      {"Squeeze", 9, {}, {2, 1, 3}},
      {"Unsqueeze", 9, {{"axes", Ints{0, 3}}}, {2, 3}},
      {"ReduceSum", 11, {{"axes", Ints{1, -1}}, {"keepdims", int64_t{0}}}},
      {"ReduceSum", 7, {}},
      {"Upsample", 7, {{"scales", std::vector<float>{1, 1, 2, 1.5F}}}},
      {"Dropout", 7, {{"ratio", 0.5F}}},
  };
  for (const Case& c : cases) {
    for (int target : {13, 21}) {
      ModelBuilder b(c.opset);
      b.input("x", c.dims).node(c.op, {"x"}, "y", c.attributes).output({"y"});
      Model before = b.model;
      auto changed = upgrade(b, target);
      ASSERT_TRUE(changed.ok()) << changed.error().message();
      EXPECT_EQ(b.model.onnx_opset(), target);
      for (NodeId id : b.graph.order()) EXPECT_GE(b.graph.node(id).opset, 13);
      Feeds feeds = {{"x", random_tensor(c.dims, 5)}};
      auto a = test::run_model(before, feeds, false);
      auto e = test::run_model(b.model, feeds, false);
      EXPECT_LE(test::relative_difference(a[0].tensor(), e[0].tensor()), 1e-6) << c.op << c.opset;
    }
  }
}

TEST(UpgradeOpset, SoftmaxOverTheLastAxisStaysOneNode) {
  ModelBuilder b(11);
  b.input("x", {2, 5}).node("Softmax", {"x"}, "y").output({"y"});
  ASSERT_TRUE(upgrade(b).ok());
  EXPECT_EQ(b.graph.node_count(), 1U);
  ModelBuilder c(11);
  c.input("x", {2, 5, 3}).node("Softmax", {"x"}, "y").output({"y"});
  ASSERT_TRUE(upgrade(c).ok());
  EXPECT_EQ(count_nodes(c.graph, "Flatten"), 1);
}

TEST(UpgradeOpset, SubgraphsAreUpgradedAndTheirNewNamesHideNothing) {
  ModelBuilder b(9);
  b.input("x", {2, 3}).input("c", {}, DType::kBool);
  auto branch = [&](float top) {
    ModelBuilder inner(9);
    inner.id("x");  // captured
    inner.graph.value(inner.graph.find_value("x")).type = ValueType::tensor(DType::kFloat32);
    inner.node("Clip", {"x"}, "z", {{"max", top}}).output({"z"});
    return std::make_shared<Graph>(inner.graph);
  };
  b.random("z_max", {2, 3});  // the name that the new constant would get
  b.node("If", {"c"}, "i", {{"then_branch", branch(0.5F)}, {"else_branch", branch(-0.5F)}});
  b.node("Add", {"i", "z_max"}, "y").output({"y"});
  Model before = b.model;
  auto changed = upgrade(b);
  ASSERT_TRUE(changed.ok()) << changed.error().message();
  Tensor yes = Tensor::zeros(DType::kBool, {});
  yes.data<uint8_t>()[0] = 1;
  Feeds feeds = {{"x", random_tensor({2, 3}, 1)}, {"c", yes}};
  auto a = test::run_model(before, feeds, false);
  auto e = test::run_model(b.model, feeds, false);
  EXPECT_EQ(test::relative_difference(a[0].tensor(), e[0].tensor()), 0);
  for (NodeId id : b.graph.order()) {
    const auto* inner = b.graph.node(id).get<std::shared_ptr<Graph>>("then_branch");
    if (inner == nullptr) continue;
    EXPECT_EQ((*inner)->find_value("z_max"), kNone);
    EXPECT_NE((*inner)->find_value("z_max_3"), kNone) << "else_branch came first";
  }
}

TEST(UpgradeOpset, InitializersOfOldFilesAreInputsNoLonger) {
  ModelBuilder b(9);
  b.model.ir_version = 3;
  b.input("x", {2, 3}).random("w", {2, 3}).node("Add", {"x", "w"}, "y").output({"y"});
  b.graph.inputs.push_back(b.graph.find_value("w"));
  ASSERT_TRUE(upgrade(b).ok());
  EXPECT_EQ(b.graph.inputs.size(), 1U);
  EXPECT_EQ(b.model.ir_version, 7);
}

TEST(UpgradeOpset, RefusesByNameAndChangesNothing) {
  struct Refused {
    const char* op;
    int opset, target;
    NodeAttributes attributes;
    const char* reason;
  };
  const Refused cases[] = {
      {"BatchNormalization", 8, 13, {{"spatial", int64_t{0}}}, "spatial = 0"},
      {"Resize", 10, 13, {}, "scaling down by 0.3"},
      {"Clip", 6, 13, {}, "opset 6; it can be upgraded from 7 on"},
  };
  for (const Refused& c : cases) {
    ModelBuilder b(c.opset);
    b.input("x", {1, 2, 6, 6}).constant("s", Tensor::from({4}, std::vector<float>{1, 1, 0.3F, 1}));
    b.random("g", {2}).random("h", {2}).random("m", {2}).random("v", {2}, 1, 2);
    if (std::string(c.op) == "BatchNormalization") {
      b.node(c.op, {"x", "g", "h", "m", "v"}, "y", c.attributes);
    } else if (std::string(c.op) == "Resize") {
      b.node(c.op, {"x", "s"}, "y", c.attributes);
    } else {
      b.node(c.op, {"x"}, "y", c.attributes);
    }
    b.output({"y"});
    auto changed = upgrade_opset(b.model, c.target);
    ASSERT_FALSE(changed.ok()) << c.op;
    EXPECT_NE(changed.error().message().find(c.reason), std::string::npos)
        << changed.error().message();
    EXPECT_EQ(b.model.onnx_opset(), c.opset);
    EXPECT_EQ(b.graph.node(0).opset, c.opset);
  }
}

}  // namespace
}  // namespace fewbit
