#pragma once
// The safetensors file format (https://github.com/huggingface/safetensors, README, "Format"):
//
//     bytes 0 to 8     N, the header's length, little-endian
//     8 to 8 + N       the header: a JSON object, filled up with spaces
//     8 + N to end     the tensors' bytes, row-major and little-endian, without a gap between them
//
// The header's member "__metadata__" maps strings to strings; every other one is a tensor:
// "NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, the offsets counted from
// 8 + N. No gap is allowed, so what we write is aligned by tensors of zeros with a name of their
// own.

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/dtype.h"
#include "base/tensor.h"

namespace fewbit {

/// Longer headers are refused by every reader.
inline constexpr uint64_t kSafetensorsMaxHeader = 100'000'000;

inline constexpr std::string_view kSafetensorsMetadata = "__metadata__";

/// Tensors whose names begin so are padding: uint8 zeros.
inline constexpr std::string_view kSafetensorsPadding = "fewbit.padding.";

/// The element type that the format calls `name` ("F32", "BF16", "F8_E4M3", ...), if we have it.
std::optional<DType> dtype_of_safetensors(std::string_view name);

/// The format's name of an element type; "" if it has none.
std::string_view safetensors_name(DType type);

/// What a tensor is in the file.
struct StoredType {
  DType type;
  Dims dims;
  bool operator==(const StoredType&) const = default;
};

/// Types that the format has no name for, and those below 8 bits (their name is younger than most
/// readers, which refuse a whole file for it), are stored as one row of their bytes: int4[3, 5] as
/// uint8[8]. All others are stored as they are.
StoredType stored_type(DType type, const Dims& dims);

}  // namespace fewbit
