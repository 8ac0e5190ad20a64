#include "graph/verify.h"

#include "graph/test_graph.h"

namespace fewbit::testing {
namespace {

std::string error_of(const TestGraph& g) {
  Status status = verify(g.model);
  return status.ok() ? "" : status.error().message();
}

TEST(Verify, AcceptsAGoodModel) {
  TestGraph g;
  ValueId y = g.node("Conv", {g.input("x", {1, 3, 8, 8}), g.weights("w", {4, 3, 3, 3})},
                     {{"pads", Ints{1, 1, 1, 1}}});
  g.graph.outputs = {g.node("Relu", {y})};
  EXPECT_EQ(error_of(g), "");
}

TEST(Verify, UnknownOperatorsAreLeftToTheExecutor) {
  TestGraph g;
  g.graph.outputs = {g.node("Strange", {g.input("x", {1})}, {}, "my.domain")};
  EXPECT_EQ(error_of(g), "");
}

TEST(Verify, UndefinedValue) {
  TestGraph g;
  g.graph.outputs = {g.node("Relu", {g.graph.add_value("ghost")})};
  EXPECT_EQ(error_of(g), "Relu node 'my_Relu' reads 'ghost', which nothing defines");
}

TEST(Verify, OutputThatNothingDefines) {
  TestGraph g;
  g.graph.outputs = {g.graph.add_value("ghost")};
  EXPECT_EQ(error_of(g), "a graph output reads 'ghost', which nothing defines");
}

TEST(Verify, OrderAndPath) {
  TestGraph g;
  ValueId x = g.input("x", {1});
  ValueId first = g.node("Relu", {x});
  ValueId second = g.node("Neg", {first});
  g.graph.outputs = {second};
  g.graph.set_input(g.graph.value(first).producer, 0, second);
  g.model.path = "model.onnx";
  EXPECT_EQ(error_of(g),
            "model.onnx: Relu node 'my_Relu' reads 'y_2' before Neg node 'my_Neg' computes it");
}

TEST(Verify, ArityOfKnownOperators) {
  TestGraph g;
  g.graph.outputs = {g.node("MatMul", {g.input("x", {1})})};
  EXPECT_EQ(error_of(g), "MatMul node 'my_MatMul' has 1 inputs, expected 2");
}

TEST(Verify, AttributeTypes) {
  TestGraph g;
  g.graph.outputs = {g.node("Softmax", {g.input("x", {1})}, {{"axis", 1.0F}})};
  EXPECT_EQ(error_of(g),
            "Softmax node 'my_Softmax': attribute 'axis' is a number, expected an integer");
}

TEST(Verify, ConstantThatIsNotWhatItsTypeSays) {
  TestGraph g;
  ValueId w = g.weights("w", {4, 3});
  g.graph.value(w).type = ValueType::tensor(DType::kFloat32, shape({3, 4}));
  EXPECT_EQ(error_of(g), "constant 'w' is float32[4, 3], but is declared float32[3, 4]");
}

TEST(Verify, InputListedTwice) {
  TestGraph g;
  g.graph.inputs.push_back(g.input("x", {1}));
  EXPECT_EQ(error_of(g), "graph input 'x' is listed twice");
}

TEST(Verify, SubgraphsSeeWhatIsDefinedByThen) {
  TestGraph branch;
  ValueId y = branch.node("Relu", {branch.graph.add_value("late")});
  branch.graph.outputs = {y};
  auto graph = std::make_shared<Graph>(branch.graph);
  TestGraph g;
  ValueId c = g.input("c", {}, DType::kBool);
  ValueId x = g.input("x", {1});
  ValueId out = g.node("If", {c}, {{"then_branch", graph}, {"else_branch", graph}});
  ValueId late = g.node("Neg", {x});
  g.graph.rename_value(late, "late");
  g.graph.outputs = {out};
  EXPECT_EQ(error_of(g),
            "If node 'my_If', sub-graph 'else_branch': Relu node 'my_Relu' reads 'late', which "
            "nothing defines");
  ASSERT_TRUE(g.graph.sort().ok());
  EXPECT_EQ(error_of(g), "");
}

}  // namespace
}  // namespace fewbit::testing
