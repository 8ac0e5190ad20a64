// Inference through If, Loop and Scan.

#include "graph/infer.h"
#include "graph/test_graph.h"

namespace fewbit::testing {
namespace {

std::shared_ptr<Graph> take(TestGraph&& g, std::vector<ValueId> outputs) {
  g.graph.outputs = std::move(outputs);
  return std::make_shared<Graph>(std::move(g.model.graph));
}

// A branch that transposes the captured 'x' with `perm`.
std::shared_ptr<Graph> transposing_branch(const Ints& perm) {
  TestGraph g;
  ValueId x = g.graph.add_value("x");
  ValueId y = g.node("Transpose", {x}, {{"perm", perm}});
  return take(std::move(g), {y});
}

TEST(InferControlFlow, BranchesAreUnited) {
  TestGraph g;
  g.input("x", {"n", 2, 2, 5});
  ValueId y = g.node("If", {g.input("c", {}, DType::kBool)},
                     {{"then_branch", transposing_branch({0, 2, 1, 3})},
                      {"else_branch", transposing_branch({0, 1, 3, 2})}});
  EXPECT_EQ(g.infer(y), "float32[n, 2, ?, ?]");
}

TEST(InferControlFlow, KnownConditionTakesOneBranch) {
  TestGraph g;
  g.input("x", {"n", 2, 3});
  ValueId condition = g.graph.add_constant("c", Tensor::scalar(true));
  // The branch not taken would be an error: it squeezes a dimension of 2.
  TestGraph wrong;
  ValueId x = wrong.graph.add_value("x");
  ValueId squeezed = wrong.node("Squeeze", {x, wrong.ints("axes", {1})});
  ValueId y = g.node("If", {condition},
                     {{"then_branch", transposing_branch({2, 1, 0})},
                      {"else_branch", take(std::move(wrong), {squeezed})}});
  EXPECT_EQ(g.infer(y), "float32[3, 2, n]");
}

// Body: (i, condition, state) -> (condition, Concat(state, state, axis), state)
std::shared_ptr<Graph> doubling_body(bool grows) {
  TestGraph g;
  g.input("i", {}, DType::kInt64);
  ValueId condition = g.input("cond", {}, DType::kBool);
  ValueId state = g.input_of_type("state", {});
  ValueId kept = g.node("Identity", {condition});
  ValueId next =
      grows ? g.node("Concat", {state, state}, {{"axis", int64_t{0}}}) : g.node("Relu", {state});
  ValueId scan = g.node("Identity", {state});
  return take(std::move(g), {kept, next, scan});
}

TEST(InferControlFlow, LoopStateThatKeepsItsShape) {
  TestGraph g;
  ValueId x = g.input("x", {"n", 3});
  auto y =
      g.nodes("Loop", {g.int_scalar("trips", 7), kNone, x}, 2, {{"body", doubling_body(false)}});
  EXPECT_EQ(g.infer(y[0]), "float32[n, 3]");
  EXPECT_EQ(g.type(y[1]), "float32[7, n, 3]");
}

TEST(InferControlFlow, LoopStateThatGrows) {
  TestGraph g;
  ValueId x = g.input("x", {2, 3});
  auto y =
      g.nodes("Loop", {g.int_scalar("trips", 7), kNone, x}, 2, {{"body", doubling_body(true)}});
  EXPECT_EQ(g.infer(y[0]), "float32[?, 3]");
  EXPECT_EQ(g.type(y[1]), "float32[7, ?, 3]");
}

TEST(InferControlFlow, LoopThatMayEndEarlyHasNoKnownTripCount) {
  TestGraph g;
  ValueId x = g.input("x", {2, 3});
  ValueId condition = g.input("c", {}, DType::kBool);
  auto y = g.nodes("Loop", {g.int_scalar("trips", 7), condition, x}, 2,
                   {{"body", doubling_body(false)}});
  EXPECT_EQ(g.infer(y[0]), "float32[2, 3]");
  EXPECT_EQ(g.type(y[1]), "float32[?, 2, 3]");
}

TEST(InferControlFlow, InferringTwiceGivesTheSame) {
  TestGraph g;
  ValueId x = g.input("x", {2, 3});
  auto y =
      g.nodes("Loop", {g.int_scalar("trips", 7), kNone, x}, 2, {{"body", doubling_body(true)}});
  EXPECT_EQ(g.infer(y[1]), "float32[7, ?, 3]");
  EXPECT_EQ(g.infer(y[1]), "float32[7, ?, 3]");
}

TEST(InferControlFlow, ScanAddsTheScannedAxis) {
  TestGraph body;
  ValueId state = body.input_of_type("state", {});
  ValueId element = body.input_of_type("element", {});
  ValueId sum = body.node("Add", {state, element});
  ValueId copy = body.node("Identity", {sum});
  TestGraph g;
  ValueId initial = g.input("initial", {4});
  ValueId xs = g.input("xs", {4, "t"});
  auto y = g.nodes("Scan", {initial, xs}, 2,
                   {{"body", take(std::move(body), {sum, copy})},
                    {"num_scan_inputs", int64_t{1}},
                    {"scan_input_axes", Ints{1}},
                    {"scan_output_axes", Ints{1}}});
  EXPECT_EQ(g.infer(y[0]), "float32[4]");
  EXPECT_EQ(g.type(y[1]), "float32[4, t]");
}

TEST(InferControlFlow, CapturesCarryValuesAndConstants) {
  TestGraph branch;
  ValueId x = branch.graph.add_value("x");
  ValueId target = branch.graph.add_value("target");
  ValueId y = branch.node("Reshape", {x, target});
  auto then_branch = take(std::move(branch), {y});
  auto else_branch = std::make_shared<Graph>(*then_branch);
  TestGraph g;
  g.input("x", {"n", 6});
  g.ints("target", {-1, 2, 3});
  ValueId out = g.node("If", {g.input("c", {}, DType::kBool)},
                       {{"then_branch", then_branch}, {"else_branch", else_branch}});
  EXPECT_EQ(g.infer(out), "float32[n, 2, 3]");
}

TEST(InferControlFlow, NestedLoopsThatGrowEnd) {
  // Each level infers its body anew; without a bound this would take 3^20 rounds.
  std::shared_ptr<Graph> body = doubling_body(true);
  for (int depth = 0; depth < 20; ++depth) {
    TestGraph outer;
    outer.input("i", {}, DType::kInt64);
    ValueId condition = outer.input("cond", {}, DType::kBool);
    ValueId state = outer.input_of_type("state", {});
    ValueId kept = outer.node("Identity", {condition});
    auto inner =
        outer.nodes("Loop", {outer.int_scalar("trips", 2), kNone, state}, 2, {{"body", body}});
    ValueId scan = outer.node("Identity", {state});
    body = take(std::move(outer), {kept, inner[0], scan});
  }
  TestGraph g;
  auto y =
      g.nodes("Loop", {g.int_scalar("trips", 2), kNone, g.input("x", {2, 3})}, 2, {{"body", body}});
  std::string type = g.infer(y[0]);
  EXPECT_TRUE(type == "float32[?, 3]" || type == "float32[...]") << type;
}

TEST(InferControlFlow, ErrorsNameTheWay) {
  TestGraph g;
  g.input("x", {2, 2, 2});
  ValueId c = g.graph.add_constant("c", Tensor::scalar(true));
  ValueId y = g.node("If", {c},
                     {{"then_branch", transposing_branch({0, 0, 1})},
                      {"else_branch", transposing_branch({0, 1, 2})}});
  EXPECT_EQ(
      g.infer(y),
      "If node 'my_If': Transpose node 'my_Transpose': perm is [0, 0, 1], expected an order of "
      "the 3 axes of input 0 'x'");
}

}  // namespace
}  // namespace fewbit::testing
