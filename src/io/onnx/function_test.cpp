#include "io/onnx/reader.h"
#include "io/onnx/test_models.h"

namespace fewbit::onnx {
namespace {

pb::FunctionProto* add_function(pb::ModelProto& m, const std::string& name, const Strings& inputs,
                                const Strings& outputs, int64_t opset = 17) {
  pb::FunctionProto* f = m.add_functions();
  f->set_domain("f");
  f->set_name(name);
  for (const std::string& s : inputs) f->add_input(s);
  for (const std::string& s : outputs) f->add_output(s);
  import(f->mutable_opset_import(), "", opset);
  import(f->mutable_opset_import(), "f", 1);
  return f;
}

// y -> F -> z, with F empty for the test to fill.
pb::ModelProto calling_model(const Strings& inputs = {"y"}, const Strings& outputs = {"z"}) {
  pb::ModelProto m = small_model();
  import(m.mutable_opset_import(), "f", 1);
  add_node(m.mutable_graph()->mutable_node(), "F", inputs, outputs, "f")->set_name("call");
  set_value(m.mutable_graph()->add_output(), "z", {2});
  return m;
}

Strings operators(const Graph& g) {
  Strings out;
  for (NodeId id : g.order()) out.push_back(g.node(id).op_type);
  return out;
}

TEST(OnnxFunctions, BodyReplacesTheCall) {
  pb::ModelProto m = calling_model();
  pb::FunctionProto* f = add_function(m, "F", {"x"}, {"y"}, 14);
  add_node(f->mutable_node(), "Neg", {"x"}, {"t"});  // names of the caller mean something else here
  add_node(f->mutable_node(), "Exp", {"t"}, {"y"});
  Result<Model> read = parse(m);
  ASSERT_READ(read);
  const Graph& g = read->graph;
  ASSERT_EQ(operators(g), (Strings{"Add", "Relu", "Neg", "Exp"}));
  const Node& neg = g.node(g.order()[2]);
  EXPECT_EQ(neg.name, "call/Neg1");
  EXPECT_EQ(neg.opset, 14);
  EXPECT_EQ(g.value(neg.inputs[0]).name, "y");
  EXPECT_EQ(g.value(neg.outputs[0]).name, "call/t");
  EXPECT_EQ(g.value(g.node(g.order()[3]).outputs[0]).name, "z");
  EXPECT_EQ(read->onnx_opset(), 17);
}

TEST(OnnxFunctions, AttributesAreBoundOrDefaultOrAbsent) {
  pb::ModelProto m = calling_model();
  pb::FunctionProto* f = add_function(m, "F", {"x"}, {"y"});
  pb::NodeProto* node = add_node(f->mutable_node(), "Op", {"x"}, {"y"});
  for (const char* name : {"given", "fallback", "absent"}) {
    add_attribute(node, name, pb::AttributeProto::FLOAT)
        ->set_ref_attr_name(std::string("f_") + name);
  }
  for (const char* name : {"f_given", "f_fallback"}) {
    auto* a = f->add_attribute_proto();
    a->set_name(name);
    a->set_type(pb::AttributeProto::FLOAT);
    a->set_f(1);
  }
  add_attribute(m.mutable_graph()->mutable_node(2), "f_given", pb::AttributeProto::FLOAT)->set_f(2);
  Result<Model> read = parse(m);
  ASSERT_READ(read);
  const Node& op = read->graph.node(read->graph.order()[2]);
  EXPECT_EQ(op.get_float("given", 0), 2.0F);
  EXPECT_EQ(op.get_float("fallback", 0), 1.0F);
  EXPECT_FALSE(op.has("absent"));
}

TEST(OnnxFunctions, ConstantOfAnAttribute) {
  pb::ModelProto m = calling_model();
  pb::FunctionProto* f = add_function(m, "F", {"x"}, {"y"});
  add_attribute(add_node(f->mutable_node(), "Constant", {}, {"c"}), "value_int",
                pb::AttributeProto::INT)
      ->set_ref_attr_name("n");
  add_node(f->mutable_node(), "Pow", {"x", "c"}, {"y"});
  add_attribute(m.mutable_graph()->mutable_node(2), "n", pb::AttributeProto::INT)->set_i(3);
  Result<Model> read = parse(m);
  ASSERT_READ(read);
  const Node& pow = read->graph.node(read->graph.order()[2]);
  ASSERT_NE(read->graph.constant(pow.inputs[1]), nullptr);
  EXPECT_EQ(read->graph.constant(pow.inputs[1])->data<int64_t>()[0], 3);
}

TEST(OnnxFunctions, InputsThatAreOutputsAndOutputsLeftOut) {
  pb::ModelProto m = calling_model({"y", "", "x"}, {"z", "", "z2", "z3"});
  pb::FunctionProto* f = add_function(m, "F", {"a", "b", "c"}, {"a", "unused", "t", "t"});
  add_node(f->mutable_node(), "Clip", {"c", "b", "a"}, {"t"});
  add_node(f->mutable_node(), "Neg", {"t"}, {"unused"});
  Result<Model> read = parse(m);
  ASSERT_READ(read);
  const Graph& g = read->graph;
  EXPECT_EQ(operators(g), (Strings{"Add", "Relu", "Clip", "Neg", "Identity", "Identity"}));
  const Node& clip = g.node(g.order()[2]);
  EXPECT_EQ(clip.inputs[1], kNone) << "an input that the caller left out";
  EXPECT_EQ(g.value(clip.outputs[0]).name, "z2");
  EXPECT_EQ(g.value(g.node(g.order()[4]).inputs[0]).name, "y");
}

TEST(OnnxFunctions, NestedCallsAndSubgraphs) {
  pb::ModelProto m = calling_model();
  pb::FunctionProto* inner = add_function(m, "Inner", {"t"}, {"y"});
  add_node(inner->mutable_node(), "Neg", {"t"}, {"y"});
  pb::FunctionProto* f = add_function(m, "F", {"x"}, {"out"});
  add_node(f->mutable_node(), "Inner", {"x"}, {"t"}, "f");
  add_node(f->mutable_node(), "Inner", {"t"}, {"w"}, "f");
  auto* body = add_attribute(add_node(f->mutable_node(), "If", {"w"}, {"out"}), "then_branch",
                             pb::AttributeProto::GRAPH)
                   ->mutable_g();
  // The sub-graph's own 'y' has the caller's name of what it captures as 'x'.
  add_node(body->mutable_node(), "Add", {"x", "w"}, {"y"});
  add_node(body->mutable_node(), "Inner", {"y"}, {"r"}, "f");
  body->add_output()->set_name("r");
  Result<Model> read = parse(m);
  ASSERT_READ(read);
  const Graph& g = read->graph;
  ASSERT_EQ(operators(g), (Strings{"Add", "Relu", "Neg", "Neg", "If"}));
  const auto* sub = g.node(g.order()[4]).get<std::shared_ptr<Graph>>("then_branch");
  EXPECT_EQ(operators(**sub), (Strings{"Add", "Neg"}));
  const std::string w = g.value(g.node(g.order()[3]).outputs[0]).name;
  EXPECT_EQ((*sub)->captures(), (Strings{w, "y"}));
}

TEST(OnnxFunctions, GraphAttributesAreCopiedPerUse) {
  pb::ModelProto m = calling_model();
  pb::FunctionProto* f = add_function(m, "F", {"x"}, {"y"});
  for (const char* out : {"t", "y"}) {
    add_attribute(add_node(f->mutable_node(), "If", {"x"}, {out}), "then_branch",
                  pb::AttributeProto::GRAPH)
        ->set_ref_attr_name("body");
  }
  auto* body = add_attribute(m.mutable_graph()->mutable_node(2), "body", pb::AttributeProto::GRAPH)
                   ->mutable_g();
  add_node(body->mutable_node(), "Neg", {"t"}, {"v"});  // the caller's t
  body->add_output()->set_name("v");
  Result<Model> read = parse(m);
  ASSERT_READ(read);
  const Graph& g = read->graph;
  const auto* one = g.node(g.order()[2]).get<std::shared_ptr<Graph>>("then_branch");
  const auto* two = g.node(g.order()[3]).get<std::shared_ptr<Graph>>("then_branch");
  ASSERT_NE(one, nullptr);
  ASSERT_NE(two, nullptr);
  EXPECT_NE(one->get(), two->get());
  EXPECT_EQ((*one)->captures(), Strings{"t"});
}

TEST(OnnxFunctions, OverloadsAreDifferentFunctions) {
  pb::ModelProto m = calling_model();
  add_node(add_function(m, "F", {"x"}, {"y"})->mutable_node(), "Neg", {"x"}, {"y"});
  pb::FunctionProto* other = add_function(m, "F", {"x"}, {"y"});
  add_node(other->mutable_node(), "Exp", {"x"}, {"y"});
  EXPECT_TRUE(fails_with(parse(m), "two functions are named 'f.F'"));
  other->set_overload("exp");
  m.mutable_graph()->mutable_node(2)->set_overload("exp");
  Result<Model> read = parse(m);
  ASSERT_READ(read);
  EXPECT_EQ(operators(read->graph).back(), "Exp");
}

TEST(OnnxFunctions, Errors) {
  pb::ModelProto m = calling_model();
  pb::FunctionProto* f = add_function(m, "F", {"x"}, {"y"});
  pb::FunctionProto* g = add_function(m, "G", {"x"}, {"y"});
  add_node(f->mutable_node(), "G", {"x"}, {"y"}, "f");
  add_node(g->mutable_node(), "F", {"x"}, {"y"}, "f");
  EXPECT_TRUE(fails_with(parse(m), "m: f.F node 'call': "));
  EXPECT_TRUE(fails_with(parse(m), "function 'f.F': calls itself"));

  g->mutable_node(0)->set_op_type("H");
  ASSERT_READ(parse(m)) << "an operator that is no function";
  g->mutable_opset_import()->RemoveLast();
  EXPECT_TRUE(fails_with(parse(m),
                         "function 'f.G': f.H node 'F1': the function imports no operator "
                         "set of the domain 'f'"));
  g->mutable_node(0)->set_op_type("Neg");
  g->mutable_node(0)->set_domain("");
  ASSERT_READ(parse(m));
  g->mutable_node(0)->set_input(0, "w");  // a name of the caller is not seen
  EXPECT_TRUE(fails_with(parse(m), "reads 'w', which no node produces"));
  g->mutable_node(0)->set_input(0, "x");
  g->set_output(0, "nothing");
  EXPECT_TRUE(fails_with(parse(m), "function 'f.G': its output 'nothing' is produced by no node"));
  g->set_output(0, "y");
  f->mutable_node(0)->add_input("x");
  EXPECT_TRUE(fails_with(parse(m), "has 1 inputs and 1 outputs, but is called with 2 and 1"));
}

// Forty functions, each of which calls the next one twice: 2^40 nodes.
TEST(OnnxFunctions, GrowthIsBounded) {
  pb::ModelProto m = calling_model();
  for (int i = 0; i < 40; ++i) {
    const std::string name = i == 0 ? "F" : "F" + std::to_string(i);
    pb::FunctionProto* f = add_function(m, name, {"x"}, {"y"});
    const std::string next = "F" + std::to_string(i + 1);
    add_node(f->mutable_node(), i == 39 ? "Neg" : next, {"x"}, {"t"}, i == 39 ? "" : "f");
    add_node(f->mutable_node(), i == 39 ? "Neg" : next, {"t"}, {"y"}, i == 39 ? "" : "f");
  }
  OnnxReadOptions options;
  options.max_inlined_bytes = 1 << 20;
  EXPECT_TRUE(fails_with(parse(m, options), "makes it grow by more than 1048576 bytes"));
}

}  // namespace
}  // namespace fewbit::onnx
