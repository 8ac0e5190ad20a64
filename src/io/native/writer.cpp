#include "base/file.h"
#include "io/native/constant_store.h"
#include "io/native/header.h"
#include "io/native/native.h"
#include "io/onnx/writer.h"

namespace fewbit {
namespace {

Result<SafetensorsLayout> layout_of(const Model& model) {
  std::map<std::string, std::string> metadata = model.metadata;
  for (const std::string_view key : native::kOwnKeys) {
    if (metadata.count(std::string(key)) == 0) continue;
    return bad_input("the model's metadata has '{}', which the file keeps for itself", key);
  }
  Model bare = model;  // constants are shared, not copied
  bare.metadata.clear();
  native::ConstantStore store(model.graph);
  FEWBIT_ASSIGN(const std::string graph,
                serialize_onnx(bare, [&](const std::string& name, const Tensor& tensor) {
                  return store.place(name, tensor);
                }));
  const auto set = [&](std::string_view key, std::string value) {
    metadata.emplace(key, std::move(value));
  };
  set(native::kVersionKey, std::to_string(native::kFileVersion));
  set(native::kGraphKey, native::to_base64(graph));
  set(native::kFormatsKey, store.formats_json());
  set(native::kHashesKey, store.hashes_json());
  set(native::kHeaderHashKey, native::header_hash_blank());
  FEWBIT_ASSIGN(SafetensorsLayout layout, SafetensorsLayout::make(metadata, store.tensors()));
  native::seal_header(layout.header);
  return layout;
}

}  // namespace

Status write_native(const Model& model, const std::string& path) {
  Result<SafetensorsLayout> layout = layout_of(model);
  if (!layout.ok()) return std::move(layout).error().with_context(path);
  FEWBIT_ASSIGN(AtomicFile file, AtomicFile::create(path));
  FEWBIT_TRY(layout->write([&](std::span<const std::byte> bytes) { return file.write(bytes); }));
  return file.commit();
}

Result<std::string> serialize_native(const Model& model) {
  FEWBIT_ASSIGN(const SafetensorsLayout layout, layout_of(model));
  std::string out;
  FEWBIT_TRY(layout.write([&](std::span<const std::byte> bytes) -> Status {
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  }));
  return out;
}

}  // namespace fewbit
