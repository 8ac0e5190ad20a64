#include "io/onnx/reader.h"

#include <filesystem>

#include "base/file.h"
#include "io/onnx/graph_reader.h"
#include "io/onnx/text_check.h"
#include "io/onnx/wire.h"

namespace fewbit {
namespace {

using onnx::GraphReader;
using onnx::Opsets;

constexpr int64_t kNewestIrVersion = 14;

void note(const OnnxReadOptions& options, std::string line) {
  if (options.notes != nullptr) options.notes->push_back(std::move(line));
}

Result<onnx::pb::ModelProto> parse_skeleton(std::span<const std::byte> bytes,
                                            const OnnxReadOptions& options) {
  Result<onnx::Skeleton> cut = onnx::cut_payloads(bytes);
  if (!cut.ok()) return std::move(cut).error().with_context("not a whole ONNX model");
  const onnx::Skeleton& skeleton = *cut;
  if (skeleton.has_training_info) note(options, "the training information is ignored");
  onnx::pb::ModelProto proto;
  if (!proto.ParseFromString(skeleton.bytes)) {
    return bad_input("not a valid ONNX model: a nested message is malformed or nested too deep");
  }
  return proto;
}

// Before IR version 3 operator sets had no versions: everything was version 1.
Result<Opsets> imported_opsets(const onnx::pb::ModelProto& proto) {
  FEWBIT_ASSIGN(Opsets opsets, onnx::read_opsets(proto.opset_import()));
  if (proto.ir_version() < 3) opsets.emplace("", 1);
  return opsets;
}

Result<Model> build(const onnx::pb::ModelProto& proto, onnx::TensorSources& sources,
                    const OnnxReadOptions& options) {
  if (!proto.has_ir_version() || !proto.has_graph()) {
    return bad_input("not an ONNX model: it has no {}",
                     proto.has_ir_version() ? "graph" : "IR version");
  }
  if (proto.ir_version() < 1) return bad_input("has the IR version {}", proto.ir_version());
  if (proto.ir_version() > kNewestIrVersion) {
    note(options, fmt::format("IR version {} is newer than {}, the newest known here",
                              proto.ir_version(), kNewestIrVersion));
  }
  if (proto.configuration_size() > 0) note(options, "the many-device configurations are ignored");
  FEWBIT_TRY(onnx::check_text(proto));

  Model model;
  model.ir_version = proto.ir_version();
  model.producer_name = proto.producer_name();
  model.producer_version = proto.producer_version();
  model.domain = proto.domain();
  model.model_version = proto.model_version();
  model.doc = proto.doc_string();
  for (const auto& entry : proto.metadata_props()) model.metadata[entry.key()] = entry.value();

  FEWBIT_ASSIGN(Opsets opsets, imported_opsets(proto));
  GraphReader reader(proto, sources, options, std::move(opsets));
  FEWBIT_TRY(reader.index_functions());
  FEWBIT_TRY(reader.read(model.graph));
  model.opsets = reader.opsets();
  return model;
}

Result<Model> parse(ByteSource source, const std::string& folder, const OnnxReadOptions& options) {
  if (source.bytes.empty()) return bad_input("is empty");
  FEWBIT_ASSIGN(const onnx::pb::ModelProto proto, parse_skeleton(source.bytes, options));
  onnx::TensorSources sources{std::move(source), onnx::ExternalFiles(folder), options.lookup,
                              options.max_dense_bytes};
  return build(proto, sources, options);
}

Result<Model> named(Result<Model> model, const std::string& name) {
  if (!model.ok()) return std::move(model).error().with_context(name);
  model->path = name;
  return model;
}

}  // namespace

Result<Model> parse_onnx(std::span<const std::byte> bytes, std::shared_ptr<void> owner,
                         const std::string& folder, const OnnxReadOptions& options,
                         const std::string& name) {
  return named(parse({bytes, std::move(owner), false}, folder, options), name);
}

Result<Model> read_onnx(const std::string& path, const OnnxReadOptions& options) {
  FEWBIT_ASSIGN(const MappedFile file, MappedFile::open(path));
  if (file.text().starts_with("version https://git-lfs")) {
    return bad_input("{}: a Git LFS pointer instead of the model: fetch it with 'git lfs pull'",
                     path);
  }
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  const std::string folder = parent.empty() ? std::string(".") : parent.string();
  return named(parse({file.bytes(), file.owner(), true}, folder, options), path);
}

}  // namespace fewbit
