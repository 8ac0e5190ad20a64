#pragma once
// Element types: those of ONNX, with ONNX's numbers, so that reading and writing is a cast.

#include <cstdint>
#include <optional>
#include <string_view>

namespace fewbit {

enum class DType : uint8_t {
  kUndefined = 0,
  kFloat32 = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kFloat64 = 11,
  kUint32 = 12,
  kUint64 = 13,
  kComplex64 = 14,
  kComplex128 = 15,
  kBfloat16 = 16,
  kFloat8E4M3FN = 17,
  kFloat8E4M3FNUZ = 18,
  kFloat8E5M2 = 19,
  kFloat8E5M2FNUZ = 20,
  kUint4 = 21,
  kInt4 = 22,
  kFloat4E2M1 = 23,
  kFloat8E8M0 = 24,
  kUint2 = 25,
  kInt2 = 26,
};
inline constexpr int kDTypeCount = 27;

/// Bits one element takes (strings: 0). Types below 8 bits are packed flat, low bits first.
int bits_of(DType type);

/// Bytes of `elements` packed elements: ceil(elements * bits / 8).
int64_t bytes_of(DType type, int64_t elements);

/// Lower-case name as in error messages and `inspect`: "float32", "uint4", ...
std::string_view name_of(DType type);

/// The type with that name (ONNX's spellings are accepted too, "float", "double").
std::optional<DType> dtype_from_name(std::string_view name);

bool is_float(DType type);    ///< float64 .. float4, bfloat16
bool is_integer(DType type);  ///< signed and unsigned integers, not bool
bool is_signed_integer(DType type);

}  // namespace fewbit
