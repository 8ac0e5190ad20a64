#include "io/model_file.h"

#include <filesystem>

#include "base/file.h"
#include "io/native/native.h"
#include "io/onnx/reader.h"
#include "io/onnx/writer.h"

namespace fewbit {
namespace {

constexpr std::string_view kNativeEnd = ".fewbit";

std::string end_of(const std::string& path) {
  return std::filesystem::path(path).extension().string();
}

}  // namespace

Result<ModelFileKind> kind_of_name(const std::string& path) {
  const std::string end = end_of(path);
  if (end == ".onnx") return ModelFileKind::kOnnx;
  if (end == kNativeEnd) return ModelFileKind::kNative;
  return misuse("{}: the name of a model to write must end in .onnx (ONNX) or {} (Fewbit's own)",
                path, kNativeEnd);
}

Result<ModelFileKind> kind_of_file(const std::string& path) {
  FEWBIT_ASSIGN(const MappedFile file, MappedFile::open(path));
  const bool native = end_of(path) == kNativeEnd || is_native(file.bytes());
  return native ? ModelFileKind::kNative : ModelFileKind::kOnnx;
}

Result<Model> read_model(const std::string& path, std::vector<std::string>* notes) {
  FEWBIT_ASSIGN(const ModelFileKind kind, kind_of_file(path));
  if (kind == ModelFileKind::kNative) return read_native(path);
  OnnxReadOptions options;
  options.notes = notes;
  return read_onnx(path, options);
}

Status write_model(const Model& model, const std::string& path) {
  FEWBIT_ASSIGN(const ModelFileKind kind, kind_of_name(path));
  return kind == ModelFileKind::kNative ? write_native(model, path) : write_onnx(model, path);
}

}  // namespace fewbit
