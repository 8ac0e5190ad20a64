#include <algorithm>
#include <cstring>
#include <set>

#include "base/file.h"
#include "base/sha256.h"
#include "base/text.h"
#include "io/json.h"
#include "io/native/header.h"
#include "io/native/native.h"
#include "io/onnx/reader.h"
#include "io/safetensors/reader.h"

namespace fewbit {
namespace {

using Metadata = std::map<std::string, std::string>;

// The value of one of the keys that every native file has.
Result<std::string_view> own_value(const Metadata& metadata, std::string_view key) {
  const auto found = metadata.find(std::string(key));
  if (found == metadata.end()) {
    return bad_input("a safetensors file, but no Fewbit model: its metadata has no {}", key);
  }
  return std::string_view(found->second);
}

Status check_version(const Metadata& metadata) {
  FEWBIT_ASSIGN(const std::string_view text, own_value(metadata, native::kVersionKey));
  const std::optional<int64_t> version = parse_int64(text);
  if (!version || *version < 1) {
    return bad_input("{} is '{}', expected a whole number from 1 on", native::kVersionKey, text);
  }
  if (*version > native::kFileVersion) {
    return unsupported("is of version {} of the format; this program reads version {} and before",
                       *version, native::kFileVersion);
  }
  return {};
}

/// The tensors of the file, asked for by the graph.
class StoredTensors {
 public:
  explicit StoredTensors(const SafetensorsFile& file) : file_(file) {}

  Result<Tensor> find(const std::string& name, DType type, const Dims& dims) {
    const SafetensorsEntry* entry = file_.find(name);
    if (entry == nullptr || entry->is_padding()) {
      return bad_input("the file has no tensor '{}'", name);
    }
    const StoredType expected = stored_type(type, dims);
    if (StoredType{entry->type, entry->dims} != expected) {
      return bad_input("{} is {}{}, but the graph's {}{} is stored as {}{}", entry->label(),
                       name_of(entry->type), to_string(entry->dims), name_of(type), to_string(dims),
                       name_of(expected.type), to_string(expected.dims));
    }
    used_.insert(entry);
    return file_.tensor(*entry, type, dims);
  }

  Status check_all_used() const {
    for (const SafetensorsEntry& entry : file_.entries()) {
      if (entry.is_padding() || used_.count(&entry) != 0) continue;
      return bad_input("{} belongs to no constant of the graph", entry.label());
    }
    return {};
  }

 private:
  const SafetensorsFile& file_;
  std::set<const SafetensorsEntry*> used_;
};

Result<Model> build(const SafetensorsFile& file) {
  const Metadata& metadata = file.metadata();
  FEWBIT_TRY(check_version(metadata));
  FEWBIT_TRY(native::check_header_hash(file.header()));
  for (const std::string_view key : native::kOwnKeys) FEWBIT_TRY(own_value(metadata, key));
  FEWBIT_ASSIGN(const std::string_view base64, own_value(metadata, native::kGraphKey));
  const std::string context(native::kGraphKey);
  Result<std::string> decoded = native::from_base64(base64);
  if (!decoded.ok()) return std::move(decoded).error().with_context(context);

  StoredTensors tensors(file);
  OnnxReadOptions options;
  // What we write has neither; so no graph becomes larger in memory than it is in the file.
  options.max_dense_bytes = 0;
  options.max_inlined_bytes = 0;
  options.lookup = [&](const std::string& name, DType type, const Dims& dims) {
    return tensors.find(name, type, dims);
  };
  const auto graph = std::make_shared<std::string>(*std::move(decoded));
  FEWBIT_ASSIGN(Model model,
                parse_onnx(std::as_bytes(std::span(*graph)), graph, "", options, context));
  FEWBIT_TRY(tensors.check_all_used());
  for (const auto& [key, value] : metadata) {
    const auto& own = native::kOwnKeys;
    if (std::find(std::begin(own), std::end(own), key) == std::end(own)) {
      model.metadata[key] = value;
    }
  }
  return model;
}

Result<Model> parse(ByteSource source, const std::string& name) {
  Result<SafetensorsFile> file = SafetensorsFile::parse(std::move(source));
  if (!file.ok()) return std::move(file).error().with_context(name);
  Result<Model> model = build(*file);
  if (!model.ok()) return std::move(model).error().with_context(name);
  model->path = name;
  return model;
}

Status check_tensor(const SafetensorsFile& file, const SafetensorsEntry& entry,
                    const Metadata& hashes) {
  const std::span<const std::byte> bytes = file.bytes(entry);
  if (entry.is_padding()) {
    const auto odd =
        std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b != std::byte{0}; });
    if (odd == bytes.end()) return {};
    return bad_input("{}: byte {} is not zero", entry.label(),
                     entry.begin + static_cast<uint64_t>(odd - bytes.begin()));
  }
  const auto expected = hashes.find(entry.name);
  if (expected == hashes.end()) {
    return bad_input("{} has no hash in {}", entry.label(), native::kHashesKey);
  }
  const std::string found = sha256_hex(bytes);
  if (found == expected->second) return {};
  return bad_input("{} has changed since it was written: its SHA-256 is {}, expected {}",
                   entry.label(), found, expected->second);
}

Status verify(const ByteSource& source) {
  FEWBIT_ASSIGN(const SafetensorsFile file, SafetensorsFile::parse(source));
  Result<Model> model = build(file);
  if (!model.ok()) return std::move(model).error();
  FEWBIT_ASSIGN(const std::string_view json, own_value(file.metadata(), native::kHashesKey));
  Result<Metadata> hashes = read_json_strings(json);
  if (!hashes.ok()) {
    return std::move(hashes).error().with_context(std::string(native::kHashesKey));
  }
  for (const SafetensorsEntry& entry : file.entries()) {
    FEWBIT_TRY(check_tensor(file, entry, *hashes));
  }
  return {};
}

Status named(Status status, const std::string& name) {
  if (status.ok()) return status;
  return std::move(status).error().with_context(name);
}

}  // namespace

bool is_native(std::span<const std::byte> bytes) {
  constexpr size_t kLengthBytes = 8;
  if (bytes.size() <= kLengthBytes || bytes[kLengthBytes] != std::byte{'{'}) return false;
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  return length <= kSafetensorsMaxHeader;
}

Result<Model> parse_native(std::span<const std::byte> bytes, std::shared_ptr<void> owner,
                           const std::string& name) {
  return parse({bytes, std::move(owner), false}, name);
}

Result<Model> read_native(const std::string& path) {
  FEWBIT_ASSIGN(const MappedFile file, MappedFile::open(path));
  return parse({file.bytes(), file.owner(), true}, path);
}

Status verify_native(std::span<const std::byte> bytes, const std::string& name) {
  return named(verify({bytes, nullptr, false}), name);
}

Status verify_native(const std::string& path) {
  FEWBIT_ASSIGN(const MappedFile file, MappedFile::open(path));
  file.advise_sequential();
  return named(verify({file.bytes(), file.owner(), true}), path);
}

}  // namespace fewbit
