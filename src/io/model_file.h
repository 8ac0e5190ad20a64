#pragma once
// Model files of either kind: ONNX, and Fewbit's own.

#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace fewbit {

enum class ModelFileKind : uint8_t { kOnnx, kNative };

/// By the name's end, .onnx or .fewbit. Error (kMisuse): neither.
Result<ModelFileKind> kind_of_name(const std::string& path);

/// By content: a safetensors header makes a native file, all else is read as ONNX. A file whose
/// name ends in .fewbit is native even where it begins otherwise, so that damage is called damage.
/// Error (kIo): it cannot be opened.
Result<ModelFileKind> kind_of_file(const std::string& path);

/// Reads a model (read_onnx, read_native). `notes`, if given, receives one line for each thing in
/// the file that was read over.
Result<Model> read_model(const std::string& path, std::vector<std::string>* notes = nullptr);

/// Writes a model of the kind that the name asks for (write_onnx, write_native). Error (kMisuse):
/// kind_of_name's.
Status write_model(const Model& model, const std::string& path);

}  // namespace fewbit
