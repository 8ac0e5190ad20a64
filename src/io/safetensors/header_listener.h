#pragma once
// The events of a safetensors header's JSON, taken apart into metadata and tensors.

#include <map>
#include <string>
#include <vector>

#include "io/json.h"
#include "io/safetensors/reader.h"

namespace fewbit {

/// Listens to one header. What it accepts has all three members for each tensor, element types that
/// we know, and sizes that fit the dimensions; where the tensors lie is still to be checked, and
/// `begin` and `end` are counted from the end of the header.
class HeaderListener : public JsonListener {
 public:
  Status begin_object() override;
  Status end_object() override;
  Status begin_array() override;
  Status end_array() override;
  Status key(std::string name) override;
  Status string(std::string value) override;
  Status count(uint64_t value) override;

  /// What was being read: "tensor 'w'", or "" outside.
  std::string place() const;

  std::map<std::string, std::string> metadata;
  std::vector<SafetensorsEntry> entries;

 private:
  enum class In : uint8_t { kStart, kTop, kMetadata, kTensor, kShape, kOffsets, kEnd };

  Status finish_tensor();

  In in_ = In::kStart;
  bool has_metadata_ = false;
  std::string key_;     ///< of the object that is open
  std::string member_;  ///< of the tensor that is open
  bool has_type_ = false, has_shape_ = false, has_offsets_ = false;
  SafetensorsEntry entry_;
  std::vector<uint64_t> offsets_;
};

}  // namespace fewbit
