#include "io/onnx/writer.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "io/onnx/test_models.h"
#include "io/onnx/wire.h"

namespace fewbit::onnx {
namespace {

namespace fs = std::filesystem;

class OnnxFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "fewbit_onnx_XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string at(const std::string& name) const { return (folder_ / name).string(); }
  void put(const std::string& name, const std::string& bytes) const {
    std::ofstream(at(name), std::ios::binary) << bytes;
  }
  std::string get(const std::string& name) const { return read_file(at(name)).value(); }

  /// Writes the small model with its weight outside, at `location`.
  void put_external(const std::string& location, const std::string& offset,
                    const std::string& length = "") const {
    pb::ModelProto m = small_model();
    auto* w = m.mutable_graph()->mutable_initializer(0);
    w->clear_raw_data();
    w->set_data_location(pb::TensorProto::EXTERNAL);
    const auto add = [&](const char* key, const std::string& value) {
      auto* entry = w->add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    };
    add("location", location);
    if (!offset.empty()) add("offset", offset);
    if (!length.empty()) add("length", length);
    put("m.onnx", m.SerializeAsString());
  }

  fs::path folder_;
};

std::string floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

TEST_F(OnnxFiles, SameBytesEachTime) {
  Result<Model> m = parse(small_model());
  ASSERT_READ(m);
  Result<std::string> bytes = serialize_onnx(*m);
  ASSERT_TRUE(bytes.ok());
  ASSERT_TRUE(write_onnx(*m, at("a.onnx")).ok());
  EXPECT_EQ(get("a.onnx"), *bytes);
  Result<Model> again = read_onnx(at("a.onnx"));
  ASSERT_READ(again);
  EXPECT_EQ(again->path, at("a.onnx"));
  EXPECT_EQ(serialize_onnx(*again).value(), *bytes);
  // Over the file that is mapped.
  ASSERT_TRUE(write_onnx(*again, at("a.onnx")).ok());
  EXPECT_EQ(get("a.onnx"), *bytes);
}

TEST_F(OnnxFiles, ExternalData) {
  Model m;
  m.opsets[""] = 17;
  m.ir_version = 3;
  const ValueId x = m.graph.add_value("x", ValueType::tensor(DType::kFloat32));
  m.graph.inputs = {x};
  const std::vector<float> large(40000, 0.5F);
  const std::vector<float> middle(500, 0.25F);
  const Tensor shared = Tensor::from({40000}, large);
  Node sum;
  sum.op_type = "Sum";
  sum.opset = 17;
  sum.inputs = {x, m.graph.add_constant("small", Tensor::scalar(1.0F)),
                m.graph.add_constant("middle", Tensor::from({500}, middle)),
                m.graph.add_constant("large", shared),
                m.graph.add_constant("alias", shared.reshaped({200, 200}))};
  sum.outputs = {m.graph.add_value("y")};
  m.graph.outputs = sum.outputs;
  m.graph.add_node(std::move(sum));
  m.graph.add_constant("unused", Tensor::from({500}, middle));

  OnnxWriteOptions options;
  options.external_data = true;
  ASSERT_TRUE(write_onnx(m, at("m.onnx"), options).ok());
  EXPECT_EQ(fs::file_size(at("m.onnx.data")), 4096U + 160000U) << "page-aligned, shared once";
  Result<Model> read = read_onnx(at("m.onnx"));
  ASSERT_READ(read);
  EXPECT_EQ(read->ir_version, 4) << "constants that are no inputs";
  const auto constant = [&](const char* name) {
    return read->graph.constant(read->graph.find_value(name));
  };
  EXPECT_TRUE(constant("middle")->identical(Tensor::from({500}, middle)));
  EXPECT_TRUE(constant("alias")->identical(shared.reshaped({200, 200})));
  EXPECT_EQ(constant("alias")->raw(), constant("large")->raw()) << "mapped, not copied";
  EXPECT_EQ(read->graph.find_value("unused"), kNone);
  // Replacing a pair.
  ASSERT_TRUE(write_onnx(*read, at("m.onnx"), options).ok());
  EXPECT_READ(read_onnx(at("m.onnx")));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 2);
  // Unasked, when one file may not hold it.
  options = {};
  options.max_inline_bytes = 100000;
  ASSERT_TRUE(write_onnx(m, at("n.onnx"), options).ok());
  EXPECT_TRUE(fs::exists(at("n.onnx.data")));
}

TEST_F(OnnxFiles, ExternalPlaces) {
  put("w.bin", floats({9, 1.5F, -2}) + "abc");
  fs::create_directory(folder_ / "sub");
  put("sub/w.bin", floats({3, 4}));
  put_external("w.bin", "4", "8");
  Result<Model> m = read_onnx(at("m.onnx"));
  ASSERT_READ(m);
  EXPECT_EQ(m->graph.constant(m->graph.find_value("w"))->data<float>()[0], 1.5F);
  put_external("w.bin", "7");  // not a multiple of four: copied
  m = read_onnx(at("m.onnx"));
  ASSERT_READ(m);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(m->graph.constant(m->graph.find_value("w"))->raw()) % 4,
            0U);
  put_external("sub/w.bin", "");
  m = read_onnx(at("m.onnx"));
  ASSERT_READ(m);
  EXPECT_EQ(m->graph.constant(m->graph.find_value("w"))->data<float>()[1], 4.0F);
  fs::create_symlink("sub/w.bin", folder_ / "inside");
  put_external("inside", "0");
  EXPECT_READ(read_onnx(at("m.onnx")));
}

TEST_F(OnnxFiles, ExternalPlacesThatAreRefused) {
  put("w.bin", floats({1, 2, 3}));
  fs::create_symlink("/etc/passwd", folder_ / "outside");
  fs::create_directory(folder_ / "dir");
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  struct Case {
    const char *location, *offset, *length, *message;
  };
  const Case cases[] = {
      {"w.bin", "8", "", "external data at bytes 8 to 16 of 'w.bin', which has only 12"},
      {"w.bin", "9223372036854775807", "", "which has only 12"},
      {"w.bin", "0", "4", "external data of 4 bytes, but float32[2] needs 8"},
      {"w.bin", "-1", "", "offset is '-1', not a number of bytes"},
      {"w.bin", "1x", "", "offset is '1x', not a number of bytes"},
      {"/etc/passwd", "", "", "must stay inside the model's folder"},
      {"../w.bin", "", "", "must stay inside the model's folder"},
      {"dir/../../w.bin", "", "", "must stay inside the model's folder"},
      {"outside", "", "", "a symbolic link leads out of the model's folder"},
      {"missing", "", "", "external data in 'missing': No such file"},
      {"dir", "", "", "is a folder"},
      {"pipe", "", "", "is not a regular file"},
      {"", "", "", "external data without a location"},
  };
  for (const Case& c : cases) {
    put_external(c.location, c.offset, c.length);
    EXPECT_TRUE(fails_with(read_onnx(at("m.onnx")), "m.onnx: initializer 'w': ")) << c.message;
    EXPECT_TRUE(fails_with(read_onnx(at("m.onnx")), c.message)) << c.message;
  }
}

TEST_F(OnnxFiles, MissingAndUnwritable) {
  EXPECT_TRUE(fails_with(read_onnx(at("none.onnx")), "none.onnx"));
  EXPECT_TRUE(fails_with(read_onnx(folder_.string()), "folder"));
  put("lfs.onnx", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
  EXPECT_TRUE(fails_with(read_onnx(at("lfs.onnx")), "Git LFS pointer"));
  Result<Model> m = parse(small_model());
  ASSERT_READ(m);
  Status status = write_onnx(*m, at("nowhere/m.onnx"));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().kind(), ErrorKind::kIo);
  EXPECT_NE(status.error().message().find("nowhere/m.onnx"), std::string::npos);
}

TEST_F(OnnxFiles, CycleLeavesNoFile) {
  Result<Model> m = parse(small_model());
  ASSERT_READ(m);
  Graph& g = m->graph;
  g.set_input(g.order()[0], 0, g.outputs[0]);
  Status status = write_onnx(*m, at("m.onnx"));
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message().find("m.onnx: the graph has a cycle"), std::string::npos);
  EXPECT_TRUE(fs::is_empty(folder_));
}

// 3 GB of zeros that take no room on the disk, as external data and inside the model's own file.
TEST_F(OnnxFiles, LargerThanProtobufReads) {
  constexpr int64_t kBytes = int64_t{3} << 30;
  pb::ModelProto m = small_model();
  auto* w = m.mutable_graph()->mutable_initializer(0);
  w->clear_raw_data();
  w->set_data_type(static_cast<int32_t>(DType::kUint8));
  w->set_dims(0, kBytes);
  w->set_payload_at(0);
  w->set_payload_bytes(kBytes);
  // Everything but the tensor's bytes, which stay a hole in the file.
  std::ofstream file(at("m.onnx"), std::ios::binary);
  const auto* begin = static_cast<const std::byte*>(nullptr);
  Status status = splice_payloads(
      m.SerializeAsString(), [&](uint64_t, uint64_t bytes) { return std::span(begin, bytes); },
      [&](std::span<const std::byte> bytes) -> Status {
        if (bytes.data() == nullptr) {
          file.seekp(static_cast<std::streamoff>(bytes.size()), std::ios::cur);
        } else {
          file.write(reinterpret_cast<const char*>(bytes.data()),
                     static_cast<std::streamsize>(bytes.size()));
        }
        return {};
      });
  ASSERT_TRUE(status.ok());
  file.close();
  ASSERT_EQ(fs::file_size(at("m.onnx")), spliced_bytes(m.SerializeAsString()));
  Result<Model> read = read_onnx(at("m.onnx"));
  ASSERT_READ(read);
  const Tensor* t = read->graph.constant(read->graph.find_value("w"));
  EXPECT_EQ(t->bytes(), kBytes);
  EXPECT_EQ(t->data<uint8_t>()[kBytes - 1], 0);
}

}  // namespace
}  // namespace fewbit::onnx
