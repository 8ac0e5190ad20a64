// What is wrong with a file is said in one line, and nothing crashes.

#include "base/text.h"
#include "io/onnx/reader.h"
#include "io/onnx/test_models.h"
#include "io/onnx/writer.h"

namespace fewbit::onnx {
namespace {

// A model with something of everything the reader walks through.
pb::ModelProto rich_model() {
  pb::ModelProto m = small_model();
  m.set_doc_string("doc");
  import(m.mutable_opset_import(), "f", 1);
  pb::FunctionProto* f = m.add_functions();
  f->set_domain("f");
  f->set_name("F");
  f->add_input("a");
  f->add_output("b");
  import(f->mutable_opset_import(), "", 17);
  auto* alpha = add_attribute(add_node(f->mutable_node(), "Elu", {"a"}, {"b"}), "alpha",
                              pb::AttributeProto::FLOAT);
  alpha->set_ref_attr_name("alpha");
  f->add_attribute("alpha");
  pb::GraphProto* g = m.mutable_graph();
  add_attribute(add_node(g->mutable_node(), "F", {"y"}, {"z"}, "f"), "alpha",
                pb::AttributeProto::FLOAT)
      ->set_f(2);
  auto* body = add_attribute(add_node(g->mutable_node(), "If", {"c"}, {"u"}), "then_branch",
                             pb::AttributeProto::GRAPH)
                   ->mutable_g();
  add_node(body->mutable_node(), "Neg", {"z"}, {"v"});
  set_value(body->add_output(), "v", {2});
  set_value(g->add_input(), "c", {}, DType::kBool);
  auto* sparse = g->add_sparse_initializer();
  set_floats(sparse->mutable_values(), "s", {1}, {5});
  sparse->mutable_indices()->set_data_type(static_cast<int32_t>(DType::kInt64));
  sparse->mutable_indices()->add_dims(1);
  sparse->mutable_indices()->add_int64_data(2);
  sparse->add_dims(3);
  auto* half = g->add_initializer();
  half->set_name("h");
  half->set_data_type(static_cast<int32_t>(DType::kInt4));
  half->add_dims(3);
  half->add_int32_data(0x21);
  half->add_int32_data(0x3);
  auto* ints = add_attribute(g->mutable_node(0), "ints", pb::AttributeProto::INTS);
  for (int64_t i : {1, 2, 300}) ints->add_ints(i);
  return m;
}

// Whatever is read can be written, and what was written can be read.
void read_write_read(const std::string& bytes) {
  OnnxReadOptions options;
  options.max_dense_bytes = 1 << 16;
  options.max_inlined_bytes = 1 << 20;
  Result<Model> m = parse_bytes(bytes, options);
  if (!m.ok()) {
    ASSERT_FALSE(m.error().message().empty());
    ASSERT_TRUE(is_utf8(m.error().message())) << m.error().message();
    return;
  }
  Result<std::string> written = serialize_onnx(*m);
  ASSERT_TRUE(written.ok()) << written.error().message();
  Result<Model> again = parse_bytes(*written);
  ASSERT_TRUE(again.ok()) << again.error().message();
  Result<std::string> twice = serialize_onnx(*again);
  ASSERT_TRUE(twice.ok());
  ASSERT_EQ(*written, *twice);
}

TEST(OnnxBadInput, TruncatedAtEveryByte) {
  const std::string bytes = rich_model().SerializeAsString();
  ASSERT_READ(parse_bytes(bytes));
  int read = 0;
  for (size_t n = 0; n < bytes.size(); ++n) {
    SCOPED_TRACE(n);
    read_write_read(bytes.substr(0, n));
    read += parse_bytes(bytes.substr(0, n)).ok() ? 1 : 0;
  }
  // Only a cut between two fields of the model itself can go unnoticed.
  EXPECT_LE(read, 3);
}

TEST(OnnxBadInput, EveryByteChanged) {
  const std::string bytes = rich_model().SerializeAsString();
  for (size_t n = 0; n < bytes.size(); ++n) {
    for (int bit = 0; bit < 8; ++bit) {
      SCOPED_TRACE(fmt::format("byte {} bit {}", n, bit));
      std::string changed = bytes;
      changed[n] = static_cast<char>(changed[n] ^ (1 << bit));
      read_write_read(changed);
    }
    std::string changed = bytes;
    changed[n] = static_cast<char>(0xff);
    read_write_read(changed);
  }
}

TEST(OnnxBadInput, OtherFiles) {
  EXPECT_TRUE(fails_with(parse_bytes(""), "m: is empty"));
  EXPECT_TRUE(fails_with(parse_bytes(std::string(100, '\0')), "m: not a whole ONNX model"));
  EXPECT_TRUE(fails_with(parse_bytes("hello, this is no model"), "m: not a whole ONNX model"));
  pb::ModelProto m;
  EXPECT_TRUE(fails_with(parse_bytes("\x12\x01p"), "not an ONNX model: it has no IR version"));
  m.set_ir_version(8);
  EXPECT_TRUE(fails_with(parse(m), "not an ONNX model: it has no graph"));
}

// Field `tag` with `content`, as protobuf encodes it.
std::string field(char tag, const std::string& content) {
  std::string out(1, tag);
  size_t n = content.size();
  for (; n >= 0x80; n >>= 7) out.push_back(static_cast<char>(n | 0x80));
  out.push_back(static_cast<char>(n));
  return out + content;
}

TEST(OnnxBadInput, DeepNesting) {
  // By hand: building and destroying the messages would recurse.
  const auto nested = [](int depth) {
    pb::ModelProto m = small_model();
    std::string graph = m.graph().SerializeAsString();
    m.clear_graph();
    for (int i = 0; i < depth; ++i) {
      const std::string attribute = field('\x0a', "body") + field('\x32', graph);
      graph = field('\x0a', field('\x22', "If") + field('\x2a', attribute));
    }
    return m.SerializeAsString() + field('\x3a', graph);
  };
  EXPECT_READ(parse_bytes(nested(24)));
  read_write_read(nested(24));
  EXPECT_TRUE(fails_with(parse_bytes(nested(25)), "sub-graphs are nested deeper than 24 levels"));
  EXPECT_TRUE(fails_with(parse_bytes(nested(1000)), "nested deeper than 100 levels"));
}

TEST(OnnxBadInput, NamesAndEdges) {
  struct Case {
    const char* message;
    void (*spoil)(pb::GraphProto*);
  };
  const Case cases[] = {
      {"Add node 'Add1': reads 'q', which no node produces",
       [](pb::GraphProto* g) { g->mutable_node(0)->set_input(0, "q"); }},
      {"Relu node 'Relu2': its output 't' is defined before",
       [](pb::GraphProto* g) { g->mutable_node(1)->set_output(0, "t"); }},
      {"Add node 'Add1': its output 'w' is defined before",
       [](pb::GraphProto* g) { g->mutable_node(0)->set_output(0, "w"); }},
      {"the graph has a cycle through",
       [](pb::GraphProto* g) { g->mutable_node(0)->set_input(0, "y"); }},
      {"the graph output 'q' is produced by no node",
       [](pb::GraphProto* g) { g->mutable_output(0)->set_name("q"); }},
      {"two graph inputs have the name 'x'",
       [](pb::GraphProto* g) { *g->add_input() = g->input(0); }},
      {"initializer 'w': two initializers have this name",
       [](pb::GraphProto* g) {
         *g->add_input() = g->input(0);
         g->mutable_input(1)->set_name("w");
         *g->add_initializer() = g->initializer(0);
       }},
      {"an initializer without a name",
       [](pb::GraphProto* g) { g->mutable_initializer(0)->clear_name(); }},
      {"a graph input without a name",
       [](pb::GraphProto* g) { g->mutable_input(0)->clear_name(); }},
      {"graph input 'x': unknown element type 99",
       [](pb::GraphProto* g) {
         g->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(99);
       }},
      {"graph input 'x': a dimension of -7",
       [](pb::GraphProto* g) { set_value(g->mutable_input(0), "x", {-7}); }},
      {"graph output 'y': map types are not supported",
       [](pb::GraphProto* g) { g->mutable_output(0)->mutable_type()->mutable_map_type(); }},
      {"node 'Add1': the operator 'A\\xff' is not valid UTF-8",
       [](pb::GraphProto* g) { g->mutable_node(0)->set_op_type("A\xff"); }},
      {"the value name 'x\\xc0\\x80' is not valid UTF-8",
       [](pb::GraphProto* g) { g->mutable_input(0)->set_name("x\xc0\x80"); }},
      {"node 'Add1': has no operator type",
       [](pb::GraphProto* g) { g->mutable_node(0)->clear_op_type(); }},
      {"imports no operator set of the domain 'none'",
       [](pb::GraphProto* g) { g->mutable_node(0)->set_domain("none"); }},
      {"has two attributes 'a'",
       [](pb::GraphProto* g) {
         for (int i = 0; i < 2; ++i) {
           add_attribute(g->mutable_node(0), "a", pb::AttributeProto::INT);
         }
       }},
      {"attribute 'a': holds no value",
       [](pb::GraphProto* g) {
         add_attribute(g->mutable_node(0), "a", pb::AttributeProto::UNDEFINED);
       }},
      {"attribute 'a': refers to 'b' of a function, but stands in no function",
       [](pb::GraphProto* g) {
         add_attribute(g->mutable_node(0), "a", pb::AttributeProto::INT)->set_ref_attr_name("b");
       }},
  };
  for (const Case& c : cases) {
    pb::ModelProto m = small_model();
    c.spoil(m.mutable_graph());
    EXPECT_TRUE(fails_with(parse(m), c.message)) << c.message;
  }
}

TEST(OnnxBadInput, Tensors) {
  struct Case {
    const char* message;
    void (*spoil)(pb::TensorProto*);
  };
  const Case cases[] = {
      {"raw_data holds 8 bytes, but float32[3] needs 12",
       [](pb::TensorProto* t) { t->set_dims(0, 3); }},
      {"negative dimension in shape [-2]", [](pb::TensorProto* t) { t->set_dims(0, -2); }},
      {"is too large",
       [](pb::TensorProto* t) { t->set_dims(0, std::numeric_limits<int64_t>::max()); }},
      {"overflows",
       [](pb::TensorProto* t) {
         t->set_dims(0, int64_t{1} << 62);
         t->add_dims(4);
       }},
      {"a tensor without an element type", [](pb::TensorProto* t) { t->clear_data_type(); }},
      {"unknown element type -1", [](pb::TensorProto* t) { t->set_data_type(-1); }},
      {"(a 6-bit float) is not supported", [](pb::TensorProto* t) { t->set_data_type(27); }},
      {"float_data holds 0 numbers, but float32[2] needs 2",
       [](pb::TensorProto* t) { t->clear_raw_data(); }},
      {"strings in raw_data",
       [](pb::TensorProto* t) { t->set_data_type(static_cast<int32_t>(DType::kString)); }},
      {"int32_data holds 256, which is no uint8",
       [](pb::TensorProto* t) {
         t->clear_raw_data();
         t->set_data_type(static_cast<int32_t>(DType::kUint8));
         t->add_int32_data(1);
         t->add_int32_data(256);
       }},
      {"uint64_data holds 4294967296, which is no uint32",
       [](pb::TensorProto* t) {
         t->clear_raw_data();
         t->set_data_type(static_cast<int32_t>(DType::kUint32));
         t->add_uint64_data(1);
         t->add_uint64_data(uint64_t{1} << 32);
       }},
      {"segments", [](pb::TensorProto* t) { t->mutable_segment()->set_begin(0); }},
      {"but the model was not read from a file",
       [](pb::TensorProto* t) {
         t->set_data_location(pb::TensorProto::EXTERNAL);
         auto* entry = t->add_external_data();
         entry->set_key("location");
         entry->set_value("w.bin");
       }},
  };
  for (const Case& c : cases) {
    pb::ModelProto m = small_model();
    c.spoil(m.mutable_graph()->mutable_initializer(0));
    EXPECT_TRUE(fails_with(parse(m), "m: initializer 'w': ")) << c.message;
    EXPECT_TRUE(fails_with(parse(m), c.message)) << c.message;
  }
}

TEST(OnnxBadInput, PrivateFieldsInTheFileAreDropped) {
  pb::ModelProto m = small_model();
  auto* t = m.mutable_graph()->mutable_initializer(0);
  t->set_payload_at(uint64_t{1} << 40);
  t->set_payload_bytes(8);
  t->set_payload_field(9);
  Result<Model> read = parse(m);
  ASSERT_READ(read);
  EXPECT_EQ(read->graph.constant(read->graph.find_value("w"))->data<float>()[0], 1.5F);
}

TEST(OnnxBadInput, OddBytesOfBoolTensorsBecomeTrue) {
  pb::ModelProto m = small_model();
  auto* t = m.mutable_graph()->mutable_initializer(0);
  t->set_data_type(static_cast<int32_t>(DType::kBool));
  t->set_raw_data(std::string("\x07\x00", 2));
  Result<Model> read = parse(m);
  ASSERT_READ(read);
  const Tensor* w = read->graph.constant(read->graph.find_value("w"));
  EXPECT_TRUE(w->identical(Tensor::from<bool>({2}, std::span<const bool>({true, false}))));
}

TEST(OnnxBadInput, SparseTensors) {
  pb::ModelProto m = rich_model();
  auto* sparse = m.mutable_graph()->mutable_sparse_initializer(0);
  sparse->mutable_indices()->set_int64_data(0, 3);
  EXPECT_TRUE(fails_with(parse(m), "initializer 's': sparse index 3 is outside 0 to 2"));
  sparse->set_dims(0, int64_t{1} << 40);
  EXPECT_TRUE(fails_with(parse(m), "is larger than 2.00 GiB when dense"));
  sparse->set_dims(0, 3);
  sparse->mutable_indices()->set_dims(0, 0);
  sparse->mutable_indices()->clear_int64_data();
  EXPECT_TRUE(fails_with(parse(m), "do not fit shape [3]"));
}

}  // namespace
}  // namespace fewbit::onnx
