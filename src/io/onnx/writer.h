#pragma once
// ONNX model files: writing. The same model gives the same bytes.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "graph/graph.h"

namespace fewbit {

struct OnnxWriteOptions {
  /// Put large constants into a second file, PATH.data, even if one file could hold all.
  bool external_data = false;
  /// One file holds at most this many bytes of tensors; above, PATH.data is written unasked
  /// (protobuf readers stop at 2 GB).
  int64_t max_inline_bytes = int64_t{1'900'000'000};
  /// Constants below this stay in the model's own file.
  int64_t external_threshold_bytes = 1024;
};

/// Writes PATH (and PATH.data) all or not at all; a reader never sees a half-written file. The IR
/// version is raised to what the element types in use need; operator sets that nodes use and the
/// model does not import are added. Constants that nothing reads are left out.
/// Errors: kIo (disk full, read-only, ...), kBadInput (a cycle), kUnsupported (over 2 GB without
/// its constants); each names the file.
Status write_onnx(const Model& model, const std::string& path,
                  const OnnxWriteOptions& options = {});

/// Called for every constant that is written, in order: the name under which a container keeps its
/// bytes, or nothing for one whose bytes go into the model.
using TensorPlacer =
    std::function<std::optional<std::string>(const std::string& name, const Tensor& tensor)>;

/// The file's bytes, in memory. Without a placer there is no external data; what a placer takes is
/// external data whose location is the name that it gives (OnnxReadOptions::lookup reads it).
Result<std::string> serialize_onnx(const Model& model, const TensorPlacer& placer = nullptr);

}  // namespace fewbit
