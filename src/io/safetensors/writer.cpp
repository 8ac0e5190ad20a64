#include "io/safetensors/writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "base/text.h"
#include "io/byte_source.h"
#include "io/json.h"

namespace fewbit {
namespace {

constexpr uint64_t kSmallBytes = 1024;

uint64_t alignment_of(const Tensor& tensor) {
  const auto bytes = static_cast<uint64_t>(tensor.bytes());
  if (bytes >= kSmallBytes) return mapping_alignment(bytes);
  return static_cast<uint64_t>(std::clamp(bits_of(tensor.type()) / 8, 1, 8));
}

Status check_tensors(const std::vector<NamedTensor>& tensors) {
  std::set<std::string_view> names;
  for (const NamedTensor& t : tensors) {
    if (!is_utf8(t.name)) return bad_input("a tensor's name is not valid UTF-8");
    if (t.name == kSafetensorsMetadata || t.name.starts_with(kSafetensorsPadding)) {
      return bad_input("a tensor cannot have the name '{}': it is reserved", t.name);
    }
    if (!names.insert(t.name).second) return bad_input("two tensors have the name '{}'", t.name);
    if (t.tensor.type() == DType::kString) {
      return bad_input("tensor '{}' holds strings, which safetensors cannot store", t.name);
    }
  }
  return {};
}

Result<std::string> metadata_json(const std::map<std::string, std::string>& metadata) {
  std::string json;
  for (const auto& [key, value] : metadata) {
    if (!is_utf8(key) || !is_utf8(value)) {
      return bad_input("the metadata '{}' is not valid UTF-8", is_utf8(key) ? key : "");
    }
    json += fmt::format("{}{}:{}", json.empty() ? "" : ",", json_quoted(key), json_quoted(value));
  }
  return fmt::format("{}:{{{}}}", json_quoted(kSafetensorsMetadata), json);
}

std::string entry_json(const NamedTensor& t, uint64_t begin) {
  const StoredType stored = stored_type(t.tensor.type(), t.tensor.dims());
  return fmt::format(R"(,{}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                     json_quoted(t.name), safetensors_name(stored.type),
                     fmt::join(stored.dims, ","), begin,
                     begin + static_cast<uint64_t>(t.tensor.bytes()));
}

// From the largest alignment to the smallest: each tensor ends at a multiple of the next one's
// alignment more often than not, and those below 1 KiB always do.
std::vector<NamedTensor> with_padding(std::vector<NamedTensor> tensors) {
  std::stable_sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return alignment_of(a.tensor) > alignment_of(b.tensor);
  });
  std::vector<NamedTensor> pieces;
  uint64_t at = 0;
  size_t paddings = 0;
  for (NamedTensor& t : tensors) {
    const uint64_t alignment = alignment_of(t.tensor);
    const uint64_t missing = (alignment - at % alignment) % alignment;
    if (missing > 0) {
      pieces.push_back({fmt::format("{}{}", kSafetensorsPadding, paddings++),
                        Tensor::zeros(DType::kUint8, {static_cast<int64_t>(missing)})});
    }
    at += missing + static_cast<uint64_t>(t.tensor.bytes());
    pieces.push_back(std::move(t));
  }
  return pieces;
}

}  // namespace

Result<SafetensorsLayout> SafetensorsLayout::make(
    const std::map<std::string, std::string>& metadata, std::vector<NamedTensor> tensors) {
  FEWBIT_TRY(check_tensors(tensors));
  SafetensorsLayout layout;
  layout.pieces_ = with_padding(std::move(tensors));
  FEWBIT_ASSIGN(std::string json, metadata_json(metadata));
  json.insert(0, 1, '{');
  uint64_t at = 0;
  for (const NamedTensor& piece : layout.pieces_) {
    json += entry_json(piece, at);
    at += static_cast<uint64_t>(piece.tensor.bytes());
  }
  json += '}';
  uint64_t length = 0;
  const uint64_t end = (sizeof(length) + json.size() + kPageBytes - 1) / kPageBytes * kPageBytes;
  length = end - sizeof(length);
  if (length > kSafetensorsMaxHeader) {
    return unsupported("the header would have {} bytes, a safetensors file allows {}", length,
                       kSafetensorsMaxHeader);
  }
  layout.header.assign(end, ' ');
  std::memcpy(layout.header.data(), &length, sizeof(length));  // little-endian, as this machine is
  std::copy(json.begin(), json.end(), layout.header.begin() + sizeof(length));
  return layout;
}

Status SafetensorsLayout::write(const Sink& sink) const {
  FEWBIT_TRY(sink(std::as_bytes(std::span(header))));
  for (const NamedTensor& piece : pieces_) {
    FEWBIT_TRY(sink({piece.tensor.raw(), static_cast<size_t>(piece.tensor.bytes())}));
  }
  return {};
}

}  // namespace fewbit
