#include "io/safetensors/header_listener.h"

#include <limits>
#include <utility>

namespace fewbit {
namespace {

// More than any tensor has; it keeps a header of nothing but dimensions small in memory.
constexpr size_t kMaxRank = 64;

Status mark(bool& seen, std::string_view what) {
  if (std::exchange(seen, true)) return bad_input("{} is there twice", what);
  return {};
}

}  // namespace

std::string HeaderListener::place() const {
  switch (in_) {
    case In::kMetadata:
      return fmt::format("{} key '{}'", kSafetensorsMetadata, member_);
    case In::kTop:
    case In::kTensor:
    case In::kShape:
    case In::kOffsets:
      return key_.empty() || key_ == kSafetensorsMetadata ? "" : fmt::format("tensor '{}'", key_);
    default:
      return "";
  }
}

Status HeaderListener::begin_object() {
  if (in_ == In::kStart) {
    in_ = In::kTop;
    return {};
  }
  if (in_ != In::kTop) return JsonListener::begin_object();
  if (key_ == kSafetensorsMetadata) {
    FEWBIT_TRY(mark(has_metadata_, kSafetensorsMetadata));
    in_ = In::kMetadata;
    return {};
  }
  in_ = In::kTensor;
  entry_ = {};
  entry_.name = key_;
  offsets_.clear();
  has_type_ = has_shape_ = has_offsets_ = false;
  return {};
}

Status HeaderListener::end_object() {
  if (in_ == In::kTop) {
    in_ = In::kEnd;
    return {};
  }
  if (in_ == In::kTensor) FEWBIT_TRY(finish_tensor());
  in_ = In::kTop;
  key_.clear();
  return {};
}

Status HeaderListener::key(std::string name) {
  if (in_ == In::kTop) {
    key_ = std::move(name);
    return {};
  }
  member_ = std::move(name);
  if (in_ == In::kMetadata) {
    if (metadata.count(member_) != 0) return bad_input("is there twice");
    return {};
  }
  if (member_ == "dtype") return mark(has_type_, member_);
  if (member_ == "shape") return mark(has_shape_, member_);
  if (member_ == "data_offsets") return mark(has_offsets_, member_);
  return bad_input("has '{}', expected dtype, shape and data_offsets", member_);
}

Status HeaderListener::string(std::string value) {
  if (in_ == In::kMetadata) {
    metadata.emplace(member_, std::move(value));
    return {};
  }
  if (in_ != In::kTensor || member_ != "dtype") return JsonListener::string({});
  const std::optional<DType> type = dtype_of_safetensors(value);
  if (!type) return unsupported("elements of type '{}' are not supported", value);
  entry_.type = *type;
  return {};
}

Status HeaderListener::begin_array() {
  if (in_ != In::kTensor || member_ == "dtype") return JsonListener::begin_array();
  in_ = member_ == "shape" ? In::kShape : In::kOffsets;
  return {};
}

Status HeaderListener::end_array() {
  in_ = In::kTensor;
  return {};
}

Status HeaderListener::count(uint64_t value) {
  if (in_ == In::kOffsets) {
    offsets_.push_back(value);
    return offsets_.size() <= 2 ? Status() : bad_input("has more than two data_offsets");
  }
  if (in_ != In::kShape) return JsonListener::count(value);
  if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return bad_input("has the dimension {}", value);
  }
  if (entry_.dims.size() == kMaxRank) return bad_input("has more than {} dimensions", kMaxRank);
  entry_.dims.push_back(static_cast<int64_t>(value));
  return {};
}

Status HeaderListener::finish_tensor() {
  if (!has_type_ || !has_shape_ || !has_offsets_) {
    return bad_input("has no {}", !has_type_ ? "dtype" : !has_shape_ ? "shape" : "data_offsets");
  }
  if (offsets_.size() != 2 || offsets_[0] > offsets_[1]) {
    return bad_input("data_offsets are not two numbers, the second not below the first");
  }
  FEWBIT_ASSIGN(const int64_t elements, checked_elements(entry_.dims, entry_.type));
  if (elements * bits_of(entry_.type) % 8 != 0) {
    return bad_input("{}{} does not fill whole bytes", name_of(entry_.type),
                     to_string(entry_.dims));
  }
  entry_.begin = offsets_[0];
  entry_.end = offsets_[1];
  const auto needed = static_cast<uint64_t>(bytes_of(entry_.type, elements));
  if (entry_.end - entry_.begin != needed) {
    return bad_input("holds {} bytes, but {}{} needs {}", entry_.end - entry_.begin,
                     name_of(entry_.type), to_string(entry_.dims), needed);
  }
  entries.push_back(std::move(entry_));
  return {};
}

}  // namespace fewbit
