#pragma once
// ONNX model files: reading. docs/onnx.md says what is kept and what is normalised.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace fewbit {

/// Gives the tensor that a container keeps under the name `location`. Type and dimensions are what
/// the model says it has.
using TensorLookup =
    std::function<Result<Tensor>(const std::string& location, DType type, const Dims& dims)>;

struct OnnxReadOptions {
  /// Receives one line for each thing in the file that was read over (training information,
  /// many-device annotations, types of inner values that have no form here).
  std::vector<std::string>* notes = nullptr;
  /// A sparse tensor that is larger than this when dense is refused.
  int64_t max_dense_bytes = int64_t{1} << 31;
  /// Model-local functions may grow the graph by at most this many bytes of protobuf: calls of
  /// calls of calls multiply.
  int64_t max_inlined_bytes = int64_t{1} << 30;
  /// If set, external data is asked for here by its location, and never looked for in files.
  TensorLookup lookup;
};

/// Metadata keys of values that hold ONNX's quantization annotations: this and, for example,
/// "SCALE_TENSOR"; the metadata's value is the name of the tensor.
inline constexpr std::string_view kQuantAnnotationPrefix = "ai.onnx.quant_parameter.";

/// Reads a model. The file and its external data are mapped: tensors view them where the bytes are
/// aligned and stay valid as long as any tensor lives. Model-local functions are inlined, Constant
/// nodes become constants, nodes are sorted.
///
/// Errors: kIo (no such file, ...), kBadInput, kUnsupported; each names the file, and the node,
/// value or byte.
Result<Model> read_onnx(const std::string& path, const OnnxReadOptions& options = {});

/// Reads a model from memory. `folder` holds its external data ("": there can be none). With an
/// `owner` that keeps the bytes alive, tensors view them; without one they copy. `name` stands in
/// messages where a file's path would.
Result<Model> parse_onnx(std::span<const std::byte> bytes, std::shared_ptr<void> owner = nullptr,
                         const std::string& folder = "", const OnnxReadOptions& options = {},
                         const std::string& name = "model");

}  // namespace fewbit
