#pragma once
// Tensor bytes stay out of protobuf.
//
// Protobuf would copy every weight into a string and stops at 2 GB. Here a message is walked field
// by field first: the large payloads of TensorProto (raw_data, and float_data or double_data
// written as one packed run, whose bytes are the same little-endian numbers) are cut out and
// replaced by their place:
//
//     raw_data (9): "....weights...."   becomes   payload_at (1001): offset
//                                                 payload_bytes (1002): length
//                                                 payload_field (1003): 9
//
// What remains, the skeleton, is small and is what protobuf parses; tensors view the file. Writing
// goes the other way: protobuf writes the skeleton, and the payloads are put back as it is copied
// out. A field numbered 1001 and up that is in the file already is dropped.

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/result.h"

namespace fewbit::onnx {

/// The messages that can hold tensors; the walk looks into these and copies all others.
enum class MessageKind : uint8_t {
  kModel,
  kGraph,
  kNode,
  kAttribute,
  kFunction,
  kTensor,
  kSparseTensor,
  kOther,
};

struct Skeleton {
  std::string bytes;
  bool has_training_info = false;  ///< ModelProto.training_info was there; it is left out
};

/// Cuts the payloads out of an encoded ModelProto. Errors (kBadInput) name the offset: truncated,
/// malformed, nested deeper than 100 messages (protobuf's own limit), a skeleton over 2 GB.
Result<Skeleton> cut_payloads(std::span<const std::byte> model);

using ByteSink = std::function<Status(std::span<const std::byte>)>;

/// The raw_data of a skeleton's tensor: given its payload_at and payload_bytes.
using PayloadSource = std::function<std::span<const std::byte>(uint64_t at, uint64_t bytes)>;

/// Bytes of the encoded model that splice_payloads will write.
uint64_t spliced_bytes(const std::string& skeleton);

/// Writes the skeleton (made by our own writer) with raw_data in place of the payload fields.
Status splice_payloads(const std::string& skeleton, const PayloadSource& payload,
                       const ByteSink& sink);

}  // namespace fewbit::onnx
