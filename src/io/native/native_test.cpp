#include "io/native/native.h"

#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "fewbit_onnx.pb.h"
#include "io/native/header.h"
#include "io/native/test_models.h"
#include "io/onnx/writer.h"
#include "io/safetensors/reader.h"

namespace fewbit {
namespace {

namespace fs = std::filesystem;

class NativeFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "fewbit_native_XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string at(const std::string& name) const { return (folder_ / name).string(); }

  fs::path folder_;
};

// Every byte of the smallest file: what this test holds is what version 1 of the format is.
std::string golden() {
  std::string file("\xf8\x0f\0\0\0\0\0\0", 8);
  file += R"({"__metadata__":{"fewbit.file_version":"1","fewbit.formats":"{}","fewbit.graph":")"
          "CAo6SgoOCgF4CgF3EgF5IgNBZGQSBHRpbnkqGAgDEAFCAXdqDQoIbG9jYXRpb24SAXdwAVoTCgF4Eg4KDAgBEggK"
          "AggCCgIIA2IDCgF5QgQKABAV"
          R"(","fewbit.hashes":"{\"w\":\")"
          "2ce4bdb6b34a50ac7092eb9fee94337a27498e9eb9bae44192f15b88831b2422"
          R"(\"}","fewbit.header_sha256":")"
          "0527cf1a60f35bab773f09b62abe599bc793e017a08126377da0f748b8dafe22"
          R"(","fewbit.seed":"7"},"w":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})";
  file.resize(4096, ' ');
  return file + std::string("\0\0\x80\x3f\0\0\0\xc0\0\0\0\x3f", 12);
}

TEST(Native, TheSmallestFileByteByByte) {
  EXPECT_EQ(native_bytes(tiny_model()), golden());
  const Result<Model> model = parse_bytes(golden());
  ASSERT_TRUE(model.ok()) << model.error().message();
  EXPECT_EQ(model->path, "m");
  EXPECT_EQ(model->metadata, (std::map<std::string, std::string>{{"fewbit.seed", "7"}}));
  EXPECT_EQ(*serialize_onnx(*model), *serialize_onnx(tiny_model()));
  EXPECT_TRUE(verify_bytes(golden()).ok());
}

TEST(Native, EveryFlippedBitIsFound) {
  const std::string whole = golden();
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const int bit : {0, 5, 7}) {
      std::string file = whole;
      file[i] = static_cast<char>(file[i] ^ (1 << bit));
      const Result<Model> model = parse_bytes(file);
      // All of the header is covered by its hash; a tensor's bytes are not read to open the file.
      ASSERT_EQ(model.ok(), i >= 4096) << "byte " << i;
      const Status verified = verify_bytes(file);
      ASSERT_FALSE(verified.ok()) << "byte " << i;
      if (!model.ok()) continue;
      EXPECT_TRUE(verified.error().message().starts_with(
          "m: tensor 'w' at bytes 4096 to 4108 has changed since it was written: its SHA-256 is "))
          << verified.error().message();
    }
  }
}

TEST(Native, EveryTruncationIsFound) {
  const std::string whole = golden();
  for (size_t length = 0; length < whole.size(); ++length) {
    const Result<Model> model = parse_bytes(whole.substr(0, length));
    ASSERT_FALSE(model.ok()) << length;
    EXPECT_EQ(model.error().kind(), ErrorKind::kBadInput);
  }
  EXPECT_EQ(parse_bytes(whole.substr(0, 4100)).error().message(),
            "m: tensor 'w' has data_offsets 0 to 12, counted from byte 4096, but the file ends at "
            "byte 4100: cut short?");
  EXPECT_EQ(parse_bytes(whole + "x").error().message(),
            "m: bytes 4108 to 4109, the end of the file, belong to no tensor");
}

TEST(Native, ChangedPaddingIsFound) {
  Model model = empty_model();
  Graph& g = model.graph;
  const ValueId a = g.add_constant("a", Tensor::zeros(DType::kFloat32, {257}));
  const ValueId b = g.add_constant("b", Tensor::zeros(DType::kFloat32, {258}));
  g.outputs = {add_node(g, "Mystery", {a, b}, "y")};
  std::string bytes = native_bytes(model);
  ASSERT_TRUE(verify_bytes(bytes).ok());
  bytes[4096 + 1028 + 5] = 1;
  EXPECT_EQ(verify_bytes(bytes).error().message(),
            "m: tensor 'fewbit.padding.0' at bytes 5124 to 5184: byte 5129 is not zero");
}

// Both branches of an If with constants of the same name: one with other values, one with the same
// as a constant outside.
Model branching_model() {
  Model model = empty_model();
  Graph& g = model.graph;
  const auto ramp = [](float first) {
    std::vector<float> values(300);
    for (size_t i = 0; i < values.size(); ++i) values[i] = first + static_cast<float>(i);
    return Tensor::from({300}, values);
  };
  const auto branch = [&](float first) {
    auto graph = std::make_shared<Graph>();
    graph->name = "branch";
    const ValueId w = graph->add_constant("w", ramp(first));
    graph->outputs = {add_node(*graph, "Neg", {w}, "out")};
    return graph;
  };
  const ValueId condition = g.add_value("condition", ValueType::tensor(DType::kBool, Shape{}));
  g.inputs.push_back(condition);
  const ValueId outside = g.add_constant("outside", ramp(0));
  const ValueId t = add_node(g, "If", {condition}, "t");
  Node& node = g.node(g.value(t).producer);
  node.attributes["then_branch"] = branch(0);
  node.attributes["else_branch"] = branch(5);
  const ValueId same = g.add_constant("same", ramp(0));
  g.outputs = {add_node(g, "Sum", {t, outside, same}, "y")};
  return model;
}

TEST(Native, EqualConstantsAreStoredOnceAndEqualNamesApart) {
  const Model model = branching_model();
  const std::string bytes = native_bytes(model);
  const auto file = SafetensorsFile::parse({std::as_bytes(std::span(bytes)), nullptr, false});
  ASSERT_TRUE(file.ok());
  std::vector<std::string> names;
  for (const SafetensorsEntry& e : file->entries()) {
    if (!e.is_padding()) names.push_back(e.name);
  }
  // Sub-graphs are written with their nodes, before the constants of the graph around them.
  EXPECT_EQ(names, (std::vector<std::string>{"w", "w.1"}));
  const Result<Model> back = parse_bytes(bytes);
  ASSERT_TRUE(back.ok()) << back.error().message();
  EXPECT_EQ(*serialize_onnx(*back), *serialize_onnx(model));
  EXPECT_EQ(native_bytes(*back), bytes);
}

TEST(Native, SmallAndWordyConstantsStayInTheGraph) {
  Model model = empty_model();
  Graph& g = model.graph;
  std::vector<ValueId> inputs;
  const auto add = [&](const std::string& name, Tensor tensor) {
    inputs.push_back(g.add_constant(name, std::move(tensor)));
  };
  add("axes", Tensor::from<int64_t>({3}, std::vector<int64_t>{1, 2, 3}));
  add("number", Tensor::scalar(1.5F));
  add("words", Tensor::strings({2}, {"a", "b"}));
  add("nothing", Tensor::zeros(DType::kFloat32, {0, 4}));
  add("bias", Tensor::from<float>({2}, std::vector<float>{1, 2}));
  add("table", Tensor::zeros(DType::kInt64, {2, 2}));
  add("codes", Tensor::zeros(DType::kInt4, {3, 5}));
  add("__metadata__", Tensor::zeros(DType::kFloat8E8M0, {7}));
  add("fewbit.padding.0", Tensor::zeros(DType::kBool, {7}));
  g.outputs = {add_node(g, "Mystery", inputs, "y")};
  const std::string bytes = native_bytes(model);
  const auto file = SafetensorsFile::parse({std::as_bytes(std::span(bytes)), nullptr, false});
  ASSERT_TRUE(file.ok());
  std::vector<std::string> names;
  for (const SafetensorsEntry& e : file->entries()) names.push_back(e.name);
  EXPECT_EQ(names, (std::vector<std::string>{"table", "bias", "codes", "__metadata__.1",
                                             "_fewbit.padding.0"}));
  const Result<Model> back = parse_bytes(bytes);
  ASSERT_TRUE(back.ok()) << back.error().message();
  EXPECT_EQ(*serialize_onnx(*back), *serialize_onnx(model));
  EXPECT_EQ(constant_of(*back, "codes").type(), DType::kInt4);
}

TEST(Native, ListsPackedWeightsWithTheirParts) {
  Model model = empty_model();
  Graph& g = model.graph;
  const ValueId codes = g.add_constant("codes", Tensor::zeros(DType::kUint8, {8, 16}));
  const ValueId scale = g.add_constant("scale", Tensor::scalar(0.5F));  // small, but a part
  const ValueId w = add_node(g, "Decode", {codes, scale}, "w", "ai.fewbit");
  Node& node = g.node(g.value(w).producer);
  node.attributes["format"] = std::string("int4:\"g32\"");
  node.attributes["rows"] = int64_t{8};
  node.attributes["cols"] = int64_t{32};
  node.attributes["dims"] = std::vector<int64_t>{32, 8};
  node.attributes["transposed"] = int64_t{1};
  g.outputs = {add_node(g, "MatMul", {g.inputs[0], w}, "y")};
  const std::string bytes = native_bytes(model);
  const auto file = SafetensorsFile::parse({std::as_bytes(std::span(bytes)), nullptr, false});
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->metadata().at("fewbit.formats"),
            R"({"w":{"format":"int4:\"g32\"","rows":8,"cols":32,"dims":[32,8],"transposed":1,)"
            R"("parts":["codes","scale"]}})");
  EXPECT_NE(file->find("scale"), nullptr);
  EXPECT_TRUE(parse_bytes(bytes).ok());
  g.node(g.value(w).producer).attributes["format"] = std::string("\xff");
  EXPECT_NE(native_bytes(model).find(R"({\"w\":{\"format\":\"\",)"), std::string::npos);
}

/// The golden file with `from` replaced by `to` in its header, sealed anew.
std::string edited(const std::string& from, const std::string& to) {
  std::string header = golden().substr(0, 4096);
  const size_t place = header.find(from);
  EXPECT_NE(place, header.npos) << from;
  header.replace(place, from.size(), to);
  const size_t end = header.find_last_not_of(' ') + 1;
  header.resize(std::max<size_t>(4096, end), ' ');
  header.resize(4096);
  const std::string key = R"("fewbit.header_sha256":")";
  if (const size_t digits = header.find(key); digits != header.npos) {
    header.replace(digits + key.size(), 64, native::header_hash_blank());
    native::seal_header(header);
  }
  return header + golden().substr(4096);
}

std::string error_of(const std::string& bytes) {
  const Result<Model> model = parse_bytes(bytes);
  return model.ok() ? "" : model.error().message();
}

TEST(Native, GraphAndTensorsMustFit) {
  EXPECT_EQ(error_of(edited("\"w\":{", "\"v\":{")),
            "m: fewbit.graph: initializer 'w': the file has no tensor 'w'");
  EXPECT_EQ(error_of(edited("\"F32\"", "\"I32\"")),
            "m: fewbit.graph: initializer 'w': tensor 'w' at bytes 4096 to 4108 is int32[3], but "
            "the graph's float32[3] is stored as float32[3]");
  EXPECT_EQ(error_of(edited("[3]", "[3,1]")),
            "m: fewbit.graph: initializer 'w': tensor 'w' at bytes 4096 to 4108 is float32[3, 1], "
            "but the graph's float32[3] is stored as float32[3]");
  EXPECT_EQ(error_of(edited(R"("shape":[3],"data_offsets":[0,12]})",
                            R"("shape":[2],"data_offsets":[0,8]},"z":{"dtype":"U8","shape":[4],)"
                            R"("data_offsets":[8,12]})")),
            "m: fewbit.graph: initializer 'w': tensor 'w' at bytes 4096 to 4104 is float32[2], but "
            "the graph's float32[3] is stored as float32[3]");
  EXPECT_EQ(error_of(edited("}}", R"(},"z":{"dtype":"U8","shape":[0],"data_offsets":[12,12]}})")),
            "m: tensor 'z' at bytes 4108 to 4108 belongs to no constant of the graph");
}

std::string base64_of(const onnx::pb::ModelProto& graph) {
  return native::to_base64(graph.SerializeAsString());
}

// A few bytes of protobuf can stand for gigabytes: sparse tensors, functions that call functions.
TEST(Native, TheGraphIsNoLargerThanItsText) {
  const std::string old_graph =
      "CAo6SgoOCgF4CgF3EgF5IgNBZGQSBHRpbnkqGAgDEAFCAXdqDQoIbG9jYXRpb24SAX"
      "dwAVoTCgF4Eg4KDAgBEggKAggCCgIIA2IDCgF5QgQKABAV";
  onnx::pb::ModelProto graph;
  graph.set_ir_version(10);
  auto* import = graph.add_opset_import();
  import->set_version(21);
  auto* sparse = graph.mutable_graph()->add_sparse_initializer();
  sparse->add_dims(int64_t{1} << 28);
  for (auto* part : {sparse->mutable_values(), sparse->mutable_indices()}) {
    part->set_name("s");
    part->add_dims(0);
    part->set_data_type(part == sparse->mutable_values() ? 1 : 7);
  }
  EXPECT_EQ(error_of(edited(old_graph, base64_of(graph))),
            "m: fewbit.graph: initializer 's': the sparse tensor of shape [268435456] is larger "
            "than 0 B when dense");
  graph.mutable_graph()->clear_sparse_initializer();
  auto* function = graph.add_functions();
  function->set_domain("f");
  function->set_name("F");
  auto* call = graph.mutable_graph()->add_node();
  call->set_domain("f");
  call->set_op_type("F");
  EXPECT_NE(error_of(edited(old_graph, base64_of(graph))).find("more than 0 bytes"),
            std::string::npos);
}

TEST(Native, MetadataMustBeWhole) {
  EXPECT_EQ(error_of(edited("file_version\":\"1\"", "file_version\":\"2\"")),
            "m: is of version 2 of the format; this program reads version 1 and before");
  EXPECT_EQ(error_of(edited("file_version\":\"1\"", "file_version\":\"0\"")),
            "m: fewbit.file_version is '0', expected a whole number from 1 on");
  EXPECT_EQ(error_of(edited("fewbit.file_version", "other.file_version")),
            "m: a safetensors file, but no Fewbit model: its metadata has no fewbit.file_version");
  EXPECT_EQ(error_of(edited("fewbit.header_sha256", "other.header_sha256")),
            "m: the header has no fewbit.header_sha256");
  EXPECT_EQ(error_of(edited("fewbit.hashes", "other.hashes")),
            "m: a safetensors file, but no Fewbit model: its metadata has no fewbit.hashes");
  EXPECT_EQ(error_of(edited("CAo6SgoO", "CAo6Sgo")),
            "m: fewbit.graph: base64 of 111 characters, which is no multiple of 4");
  EXPECT_EQ(error_of(edited("CAo6", "CA*6")), "m: fewbit.graph: character 2 is not of base64");
  EXPECT_TRUE(error_of(edited("CAo6", "CAo7")).starts_with("m: fewbit.graph: not a whole ONNX"));
  Model model = tiny_model();
  model.metadata["fewbit.graph"] = "mine";
  EXPECT_EQ(serialize_native(model).error().message(),
            "the model's metadata has 'fewbit.graph', which the file keeps for itself");
}

TEST(Native, HashesMustBeWhole) {
  const auto error = [](const std::string& bytes) {
    EXPECT_EQ(error_of(bytes), "");  // opening asks for no hash of a tensor
    const Status status = verify_bytes(bytes);
    return status.ok() ? "" : status.error().message();
  };
  EXPECT_EQ(error(edited(R"({\"w\":)", R"({\"v\":)")),
            "m: tensor 'w' at bytes 4096 to 4108 has no hash in fewbit.hashes");
  EXPECT_EQ(error(edited(R"({\"w\":)", R"([\"w\":)")),
            "m: fewbit.hashes: a list where none is expected");
}

TEST(Native, Base64) {
  for (const auto& [bytes, text] :
       std::initializer_list<std::pair<std::string, std::string>>{{"", ""},
                                                                  {"f", "Zg=="},
                                                                  {"fo", "Zm8="},
                                                                  {"foo", "Zm9v"},
                                                                  {"foob", "Zm9vYg=="},
                                                                  {"fooba", "Zm9vYmE="},
                                                                  {"foobar", "Zm9vYmFy"},
                                                                  {"\xff\xfe", "//4="}}) {
    EXPECT_EQ(native::to_base64(bytes), text);
    EXPECT_EQ(*native::from_base64(text), bytes);
  }
  for (const char* bad : {"Zg=", "Zh==", "Zm9=", "Z===", "====", "Zm 9", "Zg==Zg=="}) {
    EXPECT_FALSE(native::from_base64(bad).ok()) << bad;
  }
}

TEST_F(NativeFiles, ConstantsViewTheMappedFile) {
  Model model = empty_model();
  Graph& g = model.graph;
  Tensor weights = Tensor::zeros(DType::kFloat32, {1000, 100});
  weights.data<float>()[99'999] = 4;
  const ValueId w = g.add_constant("w", weights);
  g.outputs = {add_node(g, "Mystery", {w}, "y")};
  ASSERT_TRUE(write_native(model, at("m.fewbit")).ok());
  Tensor read;
  {
    Result<Model> back = read_native(at("m.fewbit"));
    ASSERT_TRUE(back.ok()) << back.error().message();
    EXPECT_EQ(back->path, at("m.fewbit"));
    read = constant_of(*back, "w");
  }
  // Pages of a mapped file begin at multiples of 4096, and so does the tensor. The model is gone:
  // the tensor alone keeps the file mapped.
  EXPECT_EQ(reinterpret_cast<uintptr_t>(read.raw()) % 4096, 0U);
  EXPECT_TRUE(read.identical(weights));
  // The file that is mapped is replaced, not written over.
  ASSERT_TRUE(write_native(tiny_model(), at("m.fewbit")).ok());
  EXPECT_TRUE(read.identical(weights));
  EXPECT_EQ(read_file(at("m.fewbit")).value(), golden());
  EXPECT_TRUE(verify_native(at("m.fewbit")).ok());
}

TEST_F(NativeFiles, ErrorsNameTheFile) {
  EXPECT_EQ(read_native(at("none")).error().kind(), ErrorKind::kIo);
  EXPECT_EQ(verify_native(at("none")).error().kind(), ErrorKind::kIo);
  std::ofstream(at("empty")) << "";
  EXPECT_EQ(
      read_native(at("empty")).error().message(),
      at("empty") + ": has 0 bytes: a safetensors file begins with the 8 of its header's length");
  const Status status = write_native(tiny_model(), at("none/m.fewbit"));
  EXPECT_EQ(status.error().kind(), ErrorKind::kIo);
  EXPECT_NE(status.error().message().find(at("none/m.fewbit")), std::string::npos);
}

TEST(Native, IsToldFromOnnxByItsFirstBytes) {
  const auto is = [](const std::string& bytes) {
    return is_native(std::as_bytes(std::span(bytes)));
  };
  EXPECT_TRUE(is(golden()));
  EXPECT_FALSE(is(golden().substr(0, 8)));
  EXPECT_FALSE(is(*serialize_onnx(tiny_model())));
  EXPECT_FALSE(is(""));
}

}  // namespace
}  // namespace fewbit
