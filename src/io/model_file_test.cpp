#include "io/model_file.h"

#include <unistd.h>

#include <filesystem>

#include "io/native/test_models.h"
#include "io/onnx/writer.h"

namespace fewbit {
namespace {

namespace fs = std::filesystem;

TEST(ModelFile, KindOfNames) {
  EXPECT_EQ(*kind_of_name("a/b.onnx"), ModelFileKind::kOnnx);
  EXPECT_EQ(*kind_of_name("b.x.fewbit"), ModelFileKind::kNative);
  for (const char* name : {"", "onnx", ".onnx", "a.onnx/b", "m.ONNX", "m.fewbit.tmp"}) {
    const auto kind = kind_of_name(name);
    ASSERT_FALSE(kind.ok()) << name;
    EXPECT_EQ(kind.error().kind(), ErrorKind::kMisuse);
  }
  EXPECT_EQ(kind_of_name("m.gguf").error().message(),
            "m.gguf: the name of a model to write must end in .onnx (ONNX) or .fewbit (Fewbit's "
            "own)");
}

TEST(ModelFile, ReadsByContentAndWritesByName) {
  std::string pattern = (fs::temp_directory_path() / "fewbit_model_XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  const fs::path folder = pattern;
  const auto at = [&](const char* name) { return (folder / name).string(); };
  const Model model = tiny_model();
  ASSERT_TRUE(write_model(model, at("m.onnx")).ok());
  ASSERT_TRUE(write_model(model, at("m.fewbit")).ok());
  EXPECT_EQ(write_model(model, at("m.bin")).error().kind(), ErrorKind::kMisuse);
  fs::copy(at("m.onnx"), at("onnx.bin"));
  fs::copy(at("m.fewbit"), at("native.bin"));
  EXPECT_EQ(*kind_of_file(at("onnx.bin")), ModelFileKind::kOnnx);
  EXPECT_EQ(*kind_of_file(at("native.bin")), ModelFileKind::kNative);
  const std::string expected = *serialize_onnx(model);
  for (const char* name : {"m.onnx", "m.fewbit", "onnx.bin", "native.bin"}) {
    const Result<Model> back = read_model(at(name));
    ASSERT_TRUE(back.ok()) << back.error().message();
    EXPECT_EQ(*serialize_onnx(*back), expected) << name;
  }
  // A native file whose beginning is damaged is still called one.
  fs::copy(at("m.onnx"), at("damaged.fewbit"));
  EXPECT_NE(read_model(at("damaged.fewbit")).error().message().find("not a safetensors file"),
            std::string::npos);
  EXPECT_EQ(read_model(at("none.fewbit")).error().kind(), ErrorKind::kIo);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace fewbit
