#pragma once
// Arrays in files, whatever the container: npy, an entry of an npz, IDX, IDX in gzip.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/tensor.h"

namespace fewbit {

/// An array whose elements stay where they are, mapped if they stand uncompressed in the file, and
/// are taken out a few rows at a time.
class FileArray {
 public:
  /// Opens `path`. `array` names the entry of an npz; it may be empty if there is only one, and
  /// means nothing for the other containers. Errors: kIo; kBadInput: damaged, cut off, longer than
  /// its header says, no such entry (the others are listed); kUnsupported: see npy.h and zip.h.
  static Result<FileArray> open(const std::string& path, const std::string& array = {});

  DType type() const { return type_; }
  const Dims& dims() const { return dims_; }
  /// "data.npz: x" or the path: for messages.
  const std::string& name() const { return name_; }
  /// True if the container names its arrays (npz).
  bool named() const { return named_; }

  /// Rows along the first dimension as an owned tensor [count, dims[1], ...] in this machine's byte
  /// order. The range must be within.
  Tensor rows(int64_t begin, int64_t count) const;
  /// The whole array: a view of the file if its alignment and byte order allow it.
  Tensor whole() const;

 private:
  friend struct ArrayOpener;
  std::string name_;
  bool named_ = false;
  DType type_ = DType::kUndefined;
  Dims dims_;
  const std::byte* data_ = nullptr;  ///< Any alignment.
  bool big_endian_ = false;
  std::shared_ptr<void> owner_;
};

}  // namespace fewbit
