#include "graph/graph.h"

#include <gtest/gtest.h>

namespace fewbit {
namespace {

Node make_node(std::string op, std::vector<ValueId> inputs, std::vector<ValueId> outputs) {
  Node n;
  n.op_type = op;
  n.name = op;
  n.inputs = std::move(inputs);
  n.outputs = std::move(outputs);
  return n;
}

// x -> A -> a -> B -> b (output)
struct Chain {
  Graph g;
  ValueId x, a, b;
  NodeId node_a, node_b;

  Chain() {
    x = g.add_value("x");
    a = g.add_value("a");
    b = g.add_value("b");
    g.inputs = {x};
    g.outputs = {b};
    node_a = g.add_node(make_node("A", {x}, {a}));
    node_b = g.add_node(make_node("B", {a}, {b}));
  }
};

// A graph without inputs that reads the given outer names and has one output 'out'.
std::shared_ptr<Graph> capturing(const std::vector<std::string>& names) {
  auto sub = std::make_shared<Graph>();
  std::vector<ValueId> inputs;
  for (const std::string& name : names) inputs.push_back(sub->add_value(name));
  ValueId out = sub->add_value("out");
  sub->add_node(make_node("Inner", inputs, {out}));
  sub->outputs = {out};
  return sub;
}

NodeId add_holder(Graph& g, std::shared_ptr<Graph> sub, const std::string& output) {
  Node n = make_node("If", {}, {g.add_value(output)});
  n.attributes["body"] = std::move(sub);
  return g.add_node(std::move(n));
}

Graph& body(Graph& g, NodeId id) {
  return **std::get_if<std::shared_ptr<Graph>>(&g.node(id).attributes.find("body")->second);
}

using Names = std::vector<std::string>;

TEST(Graph, AddsAndFinds) {
  Chain c;
  EXPECT_EQ(c.g.find_value("a"), c.a);
  EXPECT_EQ(c.g.find_value("none"), kNone);
  EXPECT_EQ(c.g.value(c.a).producer, c.node_a);
  EXPECT_EQ(c.g.value(c.x).producer, kNone);
  EXPECT_TRUE(c.g.is_input(c.x));
  EXPECT_TRUE(c.g.is_output(c.b));
  EXPECT_EQ(c.g.consumers(c.a), std::vector<NodeId>{c.node_b});
  ValueId unnamed = c.g.add_value("");
  EXPECT_EQ(c.g.find_value(c.g.value(unnamed).name), unnamed);
  EXPECT_EQ(c.g.unique_name("fresh"), "fresh");
  EXPECT_NE(c.g.unique_name("a"), "a");
}

TEST(Graph, ConstantsCarryTheirType) {
  Graph g;
  ValueId w = g.add_constant("w", Tensor::from<float>({2, 1}, std::vector<float>{1, 2}));
  EXPECT_EQ(g.value(w).type.to_string(), "float32[2, 1]");
  EXPECT_EQ(g.constant(w)->data<float>()[1], 2.0F);
  EXPECT_EQ(g.constant(kNone), nullptr);
}

TEST(Graph, RemovedNodeLeavesItsOutputsWithoutProducer) {
  Chain c;
  c.g.remove_node(c.node_a);
  EXPECT_FALSE(c.g.is_live(c.node_a));
  EXPECT_EQ(c.g.value(c.a).producer, kNone);
  EXPECT_EQ(c.g.order(), std::vector<NodeId>{c.node_b});
  EXPECT_EQ(c.g.captures(), Names{"a"});
  // The place is free for another producer.
  NodeId again = c.g.add_node(make_node("A2", {c.x}, {c.a}));
  ASSERT_TRUE(c.g.sort().ok());
  EXPECT_EQ(c.g.order(), (std::vector<NodeId>{again, c.node_b}));
}

TEST(Graph, ReplaceUsesMovesEveryReader) {
  Chain c;
  ValueId other = c.g.add_value("other");
  c.g.add_node(make_node("C", {c.x}, {other}));
  c.g.replace_uses(c.a, other);
  EXPECT_EQ(c.g.node(c.node_b).inputs, std::vector<ValueId>{other});
  EXPECT_TRUE(c.g.consumers(c.a).empty());
  EXPECT_EQ(c.g.value(other).name, "other");
  ASSERT_TRUE(c.g.sort().ok());
  EXPECT_EQ(c.g.node(c.g.order().back()).op_type, "B");
}

TEST(Graph, ReplacedOutputKeepsItsName) {
  Chain c;
  ValueId q = c.g.add_value("q");
  c.g.add_node(make_node("Q", {c.b}, {q}));
  // The usual way to put a node behind an output: its own input must not be moved onto itself.
  c.g.replace_uses(c.b, q);
  c.g.set_input(c.g.order().back(), 0, c.b);
  ASSERT_EQ(c.g.outputs, std::vector<ValueId>{q});
  EXPECT_EQ(c.g.value(q).name, "b");
  EXPECT_EQ(c.g.find_value("b"), q);
  EXPECT_NE(c.g.value(c.b).name, "b");
  EXPECT_EQ(c.g.find_value(c.g.value(c.b).name), c.b);
}

TEST(Graph, OutputReplacedByAnInputLeavesTheInputItsName) {
  Chain c;
  c.g.replace_uses(c.b, c.x);
  EXPECT_EQ(c.g.outputs, std::vector<ValueId>{c.x});
  EXPECT_EQ(c.g.value(c.x).name, "x");
}

TEST(Graph, ReplaceUsesFollowsCaptures) {
  Chain c;
  auto outer = capturing({"a"});
  add_holder(*outer, capturing({"a"}), "inner_result");
  NodeId holder = add_holder(c.g, outer, "r");
  EXPECT_EQ(c.g.consumers(c.a), (std::vector<NodeId>{c.node_b, holder}));
  ValueId other = c.g.add_value("other");
  c.g.add_node(make_node("C", {c.x}, {other}));
  c.g.replace_uses(c.a, other);
  EXPECT_EQ(body(c.g, holder).captures(), Names{"other"});
  EXPECT_EQ(c.g.consumers(other), (std::vector<NodeId>{c.node_b, holder}));
  // The holder came before C: sorting must see the capture.
  ASSERT_TRUE(c.g.sort().ok());
  EXPECT_EQ(c.g.order(), (std::vector<NodeId>{c.node_a, 3, c.node_b, holder}));
}

TEST(Graph, CapturesOfBothValuesAreJoined) {
  Chain c;
  NodeId holder = add_holder(c.g, capturing({"x", "a"}), "r");
  c.g.replace_uses(c.a, c.x);
  Graph& sub = body(c.g, holder);
  EXPECT_EQ(sub.captures(), Names{"x"});
  EXPECT_EQ(sub.node(0).inputs, (std::vector<ValueId>{0, 0}));
}

TEST(Graph, LocalValueInTheWayOfACaptureIsRenamed) {
  Chain c;
  auto sub = capturing({"a"});
  ValueId hidden = sub->add_value("x");  // hides the outer x
  sub->add_node(make_node("Local", {}, {hidden}));
  NodeId holder = add_holder(c.g, sub, "r");
  c.g.replace_uses(c.a, c.x);
  EXPECT_EQ(body(c.g, holder).captures(), Names{"x"});
  EXPECT_NE(body(c.g, holder).value(hidden).name, "x");
}

TEST(Graph, HiddenNamesAreNotCaptures) {
  Chain c;
  auto sub = std::make_shared<Graph>();
  ValueId local = sub->add_value("a");
  sub->add_node(make_node("Local", {}, {local}));
  sub->outputs = {local};
  NodeId holder = add_holder(c.g, sub, "r");
  EXPECT_TRUE(body(c.g, holder).captures().empty());
  EXPECT_EQ(c.g.consumers(c.a), std::vector<NodeId>{c.node_b});
  c.g.replace_uses(c.a, c.x);
  EXPECT_EQ(body(c.g, holder).value(local).name, "a");
}

TEST(Graph, RenamedValueKeepsItsCaptures) {
  Chain c;
  auto outer = std::make_shared<Graph>();
  add_holder(*outer, capturing({"a"}), "inner_result");  // captured two levels down only
  NodeId holder = add_holder(c.g, outer, "r");
  c.g.rename_value(c.a, "renamed");
  EXPECT_EQ(body(c.g, holder).captures(), Names{"renamed"});
  EXPECT_EQ(c.g.find_value("renamed"), c.a);
  EXPECT_EQ(c.g.find_value("a"), kNone);
  EXPECT_EQ(c.g.consumers(c.a), (std::vector<NodeId>{c.node_b, holder}));
}

TEST(Graph, SortIsStable) {
  Graph g;
  std::vector<ValueId> v;
  for (int i = 0; i < 4; ++i) v.push_back(g.add_value(fmt::format("v{}", i)));
  NodeId last = g.add_node(make_node("Last", {v[1], v[2]}, {v[3]}));
  NodeId second = g.add_node(make_node("Second", {v[0]}, {v[1]}));
  NodeId third = g.add_node(make_node("Third", {v[0]}, {v[2]}));
  NodeId first = g.add_node(make_node("First", {}, {v[0]}));
  ASSERT_TRUE(g.sort().ok());
  EXPECT_EQ(g.order(), (std::vector<NodeId>{first, second, third, last}));
  ASSERT_TRUE(g.sort().ok());
  EXPECT_EQ(g.order(), (std::vector<NodeId>{first, second, third, last}));
}

TEST(Graph, CycleErrorNamesANodeOnTheCycle) {
  Graph g;
  ValueId a = g.add_value("a");
  ValueId b = g.add_value("b");
  ValueId behind = g.add_value("behind");
  ValueId further = g.add_value("further");
  g.add_node(make_node("Behind", {b}, {behind}));
  g.add_node(make_node("OnCycle1", {b}, {a}));
  g.add_node(make_node("OnCycle2", {a}, {b}));
  g.add_node(make_node("Further", {behind}, {further}));
  Status status = g.sort();
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message().find("OnCycle"), std::string::npos)
      << status.error().message();
}

TEST(Graph, CycleThroughACapture) {
  Graph g;
  add_holder(g, capturing({"r"}), "r");
  EXPECT_FALSE(g.sort().ok());
}

TEST(Graph, CopyIsDeep) {
  Chain c;
  NodeId holder = add_holder(c.g, capturing({"a"}), "r");
  ValueId w = c.g.add_constant("w", Tensor::scalar(1.0F));
  Graph copy = c.g;
  body(copy, holder).rename_value(body(copy, holder).find_value("out"), "changed");
  EXPECT_NE(body(c.g, holder).find_value("out"), kNone);
  copy.replace_uses(c.a, c.x);
  EXPECT_EQ(body(c.g, holder).captures(), Names{"a"});
  EXPECT_EQ(c.g.node(c.node_b).inputs, std::vector<ValueId>{c.a});
  EXPECT_EQ(copy.constant(w), c.g.constant(w)) << "constants are shared";
}

TEST(UseMap, AgreesWithConsumers) {
  Chain c;
  NodeId holder = add_holder(c.g, capturing({"a"}), "r");
  c.g.add_node(make_node("Twice", {c.a, c.a}, {c.g.add_value("t")}));
  UseMap uses(c.g);
  for (ValueId id = 0; id < static_cast<ValueId>(c.g.value_count()); ++id) {
    EXPECT_EQ(uses.consumers[static_cast<size_t>(id)], c.g.consumers(id));
    EXPECT_EQ(uses.outputs[static_cast<size_t>(id)] > 0, c.g.is_output(id));
  }
  EXPECT_EQ(uses.single_consumer(c.a), kNone);
  EXPECT_EQ(uses.single_consumer(c.x), c.node_a);
  EXPECT_EQ(uses.single_consumer(c.b), kNone) << "an output has a reader outside";
  EXPECT_EQ(c.g.consumers(c.a).size(), 3U);
  EXPECT_TRUE(c.g.is_live(holder));
}

TEST(Graph, SetOutputMovesTheProducer) {
  Graph g;
  g.inputs = {g.add_value("x", ValueType::tensor(DType::kFloat32))};
  const ValueId old_value = g.add_value("old"), new_value = g.add_value("new");
  Node relu;
  relu.op_type = "Relu";
  relu.inputs = g.inputs;
  relu.outputs = {old_value};
  const NodeId id = g.add_node(std::move(relu));
  g.set_output(id, 0, new_value);
  EXPECT_EQ(g.node(id).output(0), new_value);
  EXPECT_EQ(g.value(new_value).producer, id);
  EXPECT_EQ(g.value(old_value).producer, kNone);
}

}  // namespace
}  // namespace fewbit
