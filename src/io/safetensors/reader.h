#pragma once
// Reading safetensors files: the file is mapped, its header parsed and checked, no tensor touched.

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/byte_source.h"
#include "io/safetensors/safetensors.h"

namespace fewbit {

struct SafetensorsEntry {
  std::string name;
  DType type = DType::kUndefined;
  Dims dims;
  uint64_t begin = 0;  ///< of its bytes in the file
  uint64_t end = 0;

  bool is_padding() const { return name.starts_with(kSafetensorsPadding); }
  /// "tensor 'w' at bytes 4096 to 4120" for messages.
  std::string label() const;
};

class SafetensorsFile {
 public:
  /// Errors: kIo (no such file, ...), kBadInput (as parse), kUnsupported (an element type that we
  /// do not have); each names the file.
  static Result<SafetensorsFile> open(const std::string& path);

  /// The same for bytes in memory. Errors (kBadInput) name the byte and, where there is one, the
  /// tensor: cut short; a header over 100 MB, not JSON, with keys of another meaning or keys that
  /// are there twice; an unknown element type; dimensions that overflow or do not fit the number
  /// of bytes; tensors that overlap, leave a gap or reach beyond the end.
  static Result<SafetensorsFile> parse(ByteSource source);

  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// In the order of their bytes, padding included.
  const std::vector<SafetensorsEntry>& entries() const { return entries_; }
  /// nullptr if there is none of that name.
  const SafetensorsEntry* find(std::string_view name) const;

  /// The file's first bytes: the header and its length, up to where the tensors begin.
  std::string_view header() const;
  std::span<const std::byte> bytes(const SafetensorsEntry& entry) const;
  /// A view of the file that keeps it mapped; a copy where the bytes are not aligned for the type.
  Tensor tensor(const SafetensorsEntry& entry) const {
    return tensor(entry, entry.type, entry.dims);
  }
  /// The same of another type and dimensions, of which the entry is the stored_type().
  Tensor tensor(const SafetensorsEntry& entry, DType type, const Dims& dims) const;

 private:
  SafetensorsFile() = default;
  Status check_places();

  ByteSource source_;
  uint64_t data_begin_ = 0;
  std::map<std::string, std::string> metadata_;
  std::vector<SafetensorsEntry> entries_;
  std::vector<size_t> by_name_;  ///< indices of entries_
};

}  // namespace fewbit
