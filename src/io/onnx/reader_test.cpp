#include "io/onnx/reader.h"

#include "io/onnx/test_models.h"

namespace fewbit::onnx {
namespace {

TEST(OnnxReader, ReadsASmallModel) {
  Result<Model> m = parse(small_model());
  ASSERT_READ(m);
  const Graph& g = m->graph;
  EXPECT_EQ(m->ir_version, 8);
  EXPECT_EQ(m->onnx_opset(), 17);
  EXPECT_EQ(g.name, "small");
  ASSERT_EQ(g.node_count(), 2U);
  const Node& add = g.node(g.order()[0]);
  EXPECT_EQ(add.label(), "Add node 'Add1'");
  EXPECT_EQ(add.opset, 17);
  EXPECT_EQ(g.value(g.inputs[0]).type.to_string(), "float32[2]");
  ASSERT_NE(g.constant(add.inputs[1]), nullptr);
  EXPECT_EQ(g.constant(add.inputs[1])->data<float>()[1], -2.0F);
  EXPECT_EQ(g.value(g.outputs[0]).name, "y");
}

TEST(OnnxReader, TensorsViewBytesThatTheOwnerKeeps) {
  pb::ModelProto proto = small_model();
  proto.mutable_graph()->clear_initializer();
  set_floats(proto.mutable_graph()->add_initializer(), "w", {1024}, std::vector<float>(1024, 2.5F));
  // Padding in front moves the floats to each residue of four: one is viewed, three are copied.
  int viewed = 0;
  for (size_t pad = 0; pad < 4; ++pad) {
    proto.set_doc_string(std::string(pad, 'd'));
    auto bytes = std::make_shared<std::string>(proto.SerializeAsString());
    const auto* begin = reinterpret_cast<const std::byte*>(bytes->data());
    const auto* end = begin + bytes->size();
    Result<Model> m = parse_onnx({begin, end}, bytes);
    bytes.reset();
    ASSERT_READ(m);
    const Tensor* w = m->graph.constant(m->graph.find_value("w"));
    ASSERT_NE(w, nullptr);
    if (w->raw() >= begin && w->raw() < end) ++viewed;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(w->raw()) % alignof(float), 0U);
    for (float v : w->span<float>()) ASSERT_EQ(v, 2.5F);
  }
  EXPECT_EQ(viewed, 1);
}

TEST(OnnxReader, PackedFloatDataIsReadLikeRawData) {
  for (int64_t count : {4, 1000}) {
    pb::ModelProto proto = small_model();
    auto* w = proto.mutable_graph()->mutable_initializer(0);
    w->clear_raw_data();
    w->set_dims(0, count);
    for (int64_t i = 0; i < count; ++i) w->add_float_data(static_cast<float>(i));
    Result<Model> m = parse(proto);
    ASSERT_READ(m);
    const Tensor* t = m->graph.constant(m->graph.find_value("w"));
    for (int64_t i = 0; i < count; ++i) ASSERT_EQ(t->data<float>()[i], static_cast<float>(i));
  }
}

TEST(OnnxReader, NodesMayStandInAnyOrder) {
  pb::ModelProto proto = small_model();
  proto.mutable_graph()->mutable_node()->SwapElements(0, 1);
  Result<Model> m = parse(proto);
  ASSERT_READ(m);
  EXPECT_EQ(m->graph.node(m->graph.order()[0]).op_type, "Add");
}

TEST(OnnxReader, InitializerOfAnInputIsItsDefault) {
  pb::ModelProto proto = small_model();
  set_value(proto.mutable_graph()->add_input(), "w", {2});
  Result<Model> m = parse(proto);
  ASSERT_READ(m);
  ASSERT_EQ(m->graph.inputs.size(), 2U);
  EXPECT_NE(m->graph.constant(m->graph.inputs[1]), nullptr);

  proto.mutable_graph()->mutable_input(1)->Clear();
  set_value(proto.mutable_graph()->mutable_input(1), "w", {3});
  EXPECT_TRUE(fails_with(parse(proto),
                         "initializer 'w': is float32[2], but the graph input of that "
                         "name is declared as float32[3]"));
}

TEST(OnnxReader, ConstantNodesOfEveryForm) {
  pb::ModelProto proto = small_model();
  auto* nodes = proto.mutable_graph()->mutable_node();
  const auto constant = [&](const std::string& output, const std::string& attribute,
                            pb::AttributeProto::AttributeType type) {
    return add_attribute(add_node(nodes, "Constant", {}, {output}), attribute, type);
  };
  set_floats(constant("c0", "value", pb::AttributeProto::TENSOR)->mutable_t(), "", {1}, {7});
  constant("c1", "value_float", pb::AttributeProto::FLOAT)->set_f(0.5F);
  constant("c2", "value_ints", pb::AttributeProto::INTS)->add_ints(-3);
  constant("c3", "value_string", pb::AttributeProto::STRING)->set_s("\xff");
  auto* sparse =
      constant("c4", "sparse_value", pb::AttributeProto::SPARSE_TENSOR)->mutable_sparse_tensor();
  set_floats(sparse->mutable_values(), "", {2}, {5, 6});
  sparse->mutable_indices()->set_data_type(static_cast<int32_t>(DType::kInt64));
  for (int64_t d : {2, 2}) sparse->mutable_indices()->add_dims(d);
  for (int64_t i : {0, 1, 1, 0}) sparse->mutable_indices()->add_int64_data(i);
  for (int64_t d : {2, 3}) sparse->add_dims(d);
  Result<Model> m = parse(proto);
  ASSERT_READ(m);
  const auto tensor = [&](const char* name) {
    return m->graph.constant(m->graph.find_value(name));
  };
  EXPECT_EQ(m->graph.node_count(), 2U);
  EXPECT_EQ(tensor("c0")->data<float>()[0], 7.0F);
  EXPECT_EQ(tensor("c1")->data<float>()[0], 0.5F);
  EXPECT_EQ(tensor("c1")->rank(), 0);
  EXPECT_EQ(tensor("c2")->data<int64_t>()[0], -3);
  EXPECT_EQ(tensor("c3")->strings()[0], "\xff");
  EXPECT_TRUE(tensor("c4")->identical(Tensor::from<float>({2, 3}, {0, 5, 0, 6, 0, 0})));
}

TEST(OnnxReader, SubgraphsCaptureByName) {
  pb::ModelProto proto = small_model();
  pb::NodeProto* loop = add_node(proto.mutable_graph()->mutable_node(), "If", {"c"}, {"z"});
  set_value(proto.mutable_graph()->add_input(), "c", {}, DType::kBool);
  auto* branch = add_attribute(loop, "then_branch", pb::AttributeProto::GRAPH)->mutable_g();
  add_node(branch->mutable_node(), "Mul", {"t", "y"}, {"w"});  // w hides the outer w
  branch->add_output()->set_name("w");
  Result<Model> m = parse(proto);
  ASSERT_READ(m);
  const Node& node = m->graph.node(m->graph.order().back());
  const auto* g = node.get<std::shared_ptr<Graph>>("then_branch");
  ASSERT_NE(g, nullptr);
  EXPECT_EQ((*g)->captures(), (Strings{"t", "y"}));
  EXPECT_FALSE((*g)->value((*g)->outputs[0]).is_constant());

  branch->mutable_node(0)->set_input(0, "nowhere");
  EXPECT_TRUE(fails_with(parse(proto),
                         "m: If node 'If3': attribute 'then_branch': Mul node 'Mul1': "
                         "reads 'nowhere', which no node produces"));
}

TEST(OnnxReader, TypesOfValues) {
  pb::ModelProto proto = small_model();
  auto* dims = proto.mutable_graph()
                   ->mutable_input(0)
                   ->mutable_type()
                   ->mutable_tensor_type()
                   ->mutable_shape();
  dims->mutable_dim(0)->set_dim_param("batch");
  dims->add_dim()->set_dim_value(-1);
  dims->add_dim();
  auto* sequence = proto.mutable_graph()->add_value_info();
  sequence->set_name("t");
  set_value(sequence, "t", {});
  *sequence->mutable_type()
       ->mutable_optional_type()
       ->mutable_elem_type()
       ->mutable_sequence_type()
       ->mutable_elem_type() = proto.graph().input(0).type();
  Result<Model> m = parse(proto);
  ASSERT_READ(m);
  EXPECT_EQ(m->graph.value(m->graph.inputs[0]).type.to_string(), "float32[batch, ?, ?]");
  EXPECT_EQ(m->graph.value(m->graph.find_value("t")).type.to_string(),
            "optional(sequence(float32[batch, ?, ?]))");
}

TEST(OnnxReader, NotesWhatItReadsOver) {
  pb::ModelProto proto = small_model();
  proto.add_training_info()->mutable_algorithm()->set_name("training");
  proto.add_configuration()->set_name("two GPUs");
  auto* info = proto.mutable_graph()->add_value_info();
  info->set_name("t");
  info->mutable_type()->mutable_map_type()->set_key_type(1);
  std::vector<std::string> notes;
  OnnxReadOptions options;
  options.notes = &notes;
  ASSERT_READ(parse(proto, options));
  ASSERT_EQ(notes.size(), 3U);
  EXPECT_NE(notes[0].find("training"), std::string::npos);
  EXPECT_NE(notes[1].find("many-device"), std::string::npos);
  EXPECT_NE(notes[2].find("map types"), std::string::npos);
}

TEST(OnnxReader, DomainAndOpsetsAreNormalised) {
  pb::ModelProto proto = small_model();
  proto.mutable_opset_import(0)->set_domain("ai.onnx");
  import(proto.mutable_opset_import(), "", 12);  // of one domain the highest counts
  proto.mutable_graph()->mutable_node(0)->set_domain("ai.onnx");
  Result<Model> m = parse(proto);
  ASSERT_READ(m);
  EXPECT_EQ(m->onnx_opset(), 17);
  EXPECT_TRUE(m->graph.node(m->graph.order()[0]).is("Add"));

  proto.clear_opset_import();
  EXPECT_TRUE(fails_with(parse(proto),
                         "Add node 'Add1': the model imports no operator set of the "
                         "domain 'ai.onnx'"));
  proto.set_ir_version(2);
  m = parse(proto);
  ASSERT_READ(m);
  EXPECT_EQ(m->onnx_opset(), 1);
}

}  // namespace
}  // namespace fewbit::onnx
