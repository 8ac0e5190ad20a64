#include "io/onnx/writer.h"

#include <filesystem>
#include <limits>
#include <optional>

#include "base/file.h"
#include "io/onnx/graph_writer.h"
#include "io/onnx/wire.h"

namespace fewbit {
namespace {

using onnx::GraphWriter;

int64_t constant_bytes(const Graph& graph) {
  int64_t bytes = 0;
  for (ValueId id = 0; id < static_cast<ValueId>(graph.value_count()); ++id) {
    const Tensor* t = graph.constant(id);
    if (t != nullptr) bytes += t->bytes();
  }
  return bytes;
}

Result<std::string> make_skeleton(const onnx::pb::ModelProto& proto) {
  constexpr uint64_t kLimit = std::numeric_limits<int32_t>::max();
  std::string skeleton;
  const bool fits = proto.ByteSizeLong() <= kLimit && proto.SerializeToString(&skeleton);
  if (!fits || onnx::spliced_bytes(skeleton) > kLimit) {
    return unsupported("the model is larger than 2 GB without its constants");
  }
  return skeleton;
}

Status splice(const GraphWriter& writer, const std::string& skeleton, const onnx::ByteSink& sink) {
  const auto payload = [&](uint64_t at, uint64_t bytes) {
    return std::span(writer.payloads()[at].raw(), bytes);
  };
  return onnx::splice_payloads(skeleton, payload, sink);
}

Status write_blobs(const GraphWriter& writer, AtomicFile& file) {
  static constexpr std::byte kZeros[4096] = {};
  for (const onnx::ExternalBlob& blob : writer.blobs()) {
    FEWBIT_TRY(file.write(std::span(kZeros, blob.offset - file.offset())));
    FEWBIT_TRY(file.write({blob.tensor.raw(), static_cast<size_t>(blob.tensor.bytes())}));
  }
  return {};
}

// Two files cannot be replaced in one step. A model of before must never be read with the data of
// now, so it goes away first: whoever looks in between finds no model.
Status commit_both(AtomicFile& data, AtomicFile& main) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (fs::exists(main.path(), error) && fs::exists(data.path(), error)) {
    fs::remove(fs::canonical(main.path(), error), error);
    if (error) return io_error("{}: cannot replace: {}", main.path(), error.message());
  }
  FEWBIT_TRY(data.commit());
  return main.commit();
}

Status write_files(const Model& model, const std::string& path, const OnnxWriteOptions& options) {
  const bool external =
      options.external_data || constant_bytes(model.graph) > options.max_inline_bytes;
  const std::string data_path = path + ".data";
  const std::string data_name = std::filesystem::path(data_path).filename().string();
  GraphWriter writer(external ? data_name : "", options.external_threshold_bytes);
  FEWBIT_ASSIGN(const onnx::pb::ModelProto proto, writer.write(model));
  FEWBIT_ASSIGN(const std::string skeleton, make_skeleton(proto));

  FEWBIT_ASSIGN(AtomicFile main, AtomicFile::create(path));
  FEWBIT_TRY(splice(writer, skeleton, [&](auto bytes) { return main.write(bytes); }));
  if (writer.blobs().empty()) return main.commit();
  FEWBIT_ASSIGN(AtomicFile data, AtomicFile::create(data_path));
  FEWBIT_TRY(write_blobs(writer, data));
  return commit_both(data, main);
}

}  // namespace

Status write_onnx(const Model& model, const std::string& path, const OnnxWriteOptions& options) {
  Status status = write_files(model, path, options);
  if (status.ok() || status.error().kind() == ErrorKind::kIo) return status;
  return std::move(status).error().with_context(path);
}

Result<std::string> serialize_onnx(const Model& model, const TensorPlacer& placer) {
  GraphWriter writer("", 0, placer);
  FEWBIT_ASSIGN(const onnx::pb::ModelProto proto, writer.write(model));
  FEWBIT_ASSIGN(const std::string skeleton, make_skeleton(proto));
  std::string out;
  out.reserve(onnx::spliced_bytes(skeleton));
  FEWBIT_TRY(splice(writer, skeleton, [&](std::span<const std::byte> bytes) -> Status {
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  }));
  return out;
}

}  // namespace fewbit
