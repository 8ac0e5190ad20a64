#pragma once
// Writing safetensors files: the layout first, then tensor by tensor from where the bytes lie.

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/safetensors/safetensors.h"

namespace fewbit {

struct NamedTensor {
  std::string name;
  Tensor tensor;  ///< of any element type but string; stored_type() says as what it is listed
};

/// A file that is about to be written. The same tensors and metadata give the same bytes.
class SafetensorsLayout {
 public:
  using Sink = std::function<Status(std::span<const std::byte>)>;

  /// The tensors begin at a multiple of 4096 bytes. One of 64 KiB or more lies at a multiple of
  /// 4096, one of 1 KiB or more at a multiple of 64, a smaller one at a multiple of its element;
  /// in that order, and among their like as given. Padding fills the gaps.
  /// Errors: kBadInput (names or metadata that are not UTF-8, two tensors of one name, a name that
  /// is reserved, a tensor of strings); kUnsupported (a header over 100 MB).
  static Result<SafetensorsLayout> make(const std::map<std::string, std::string>& metadata,
                                        std::vector<NamedTensor> tensors);

  /// The bytes before the first tensor: length, JSON, spaces. May be edited in place.
  std::string header;

  Status write(const Sink& sink) const;

 private:
  std::vector<NamedTensor> pieces_;  ///< in the order of their bytes, padding included
};

}  // namespace fewbit
