#pragma once
// The types that scales are stored in.
//
//   f32, f16, bf16   the nearest value of the type; may be negative: the sign turns the grid round
//   e8m0             a power of two, 2^(code - 127)
//   e4m3             float8e4m3fn without its sign, under one float32 per matrix (NVFP4)
//   u4, u6, u8       integers under a float32 per row, or a float16 per super-block:
//                    scale = super * code, code in [1, 2^bits - 1] (0 only for groups of zeros)

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/dtype.h"

namespace fewbit {

/// The numbers are on disk.
enum class ScaleType : uint8_t {
  kUnscaled = 0,
  kFloat32 = 1,
  kFloat16 = 2,
  kBfloat16 = 3,
  kE8M0 = 4,
  kE4M3 = 5,
  kU4 = 6,
  kU6 = 7,
  kU8 = 8,
};

constexpr uint32_t scale_bit(ScaleType type) {
  return uint32_t{1} << static_cast<int>(type);
}

/// f32, f16, bf16.
inline constexpr uint32_t kFloatScales = scale_bit(ScaleType::kFloat32) |
                                         scale_bit(ScaleType::kFloat16) |
                                         scale_bit(ScaleType::kBfloat16);
/// u4, u6, u8.
inline constexpr uint32_t kIntegerScales =
    scale_bit(ScaleType::kU4) | scale_bit(ScaleType::kU6) | scale_bit(ScaleType::kU8);

/// "f16", "e8m0", "u6", ...; "" for kUnscaled.
std::string_view name_of(ScaleType type);
std::optional<ScaleType> scale_type_from_name(std::string_view name);

constexpr bool is_integer_scale(ScaleType type) {
  return (kIntegerScales & scale_bit(type)) != 0;
}
constexpr bool may_be_negative(ScaleType type) {
  return (kFloatScales & scale_bit(type)) != 0;
}

/// Bits of one stored scale.
int bits_of(ScaleType type);
/// Largest code of an integer scale.
constexpr int largest_integer_scale(ScaleType type) {
  return type == ScaleType::kU4 ? 15 : type == ScaleType::kU6 ? 63 : 255;
}

/// The element type of the array that holds scales of `type`. u4 and u6 are packed code planes
/// (code_planes.h) in bytes.
DType storage_of(ScaleType type);

/// The value nearest to `scale` among those of a float type, e8m0 or e4m3: never 0, never infinite
/// for finite input (the type's smallest or largest instead).
float round_scale(ScaleType type, float scale);

/// Writes a scale of a float type, e8m0 or e4m3 that round_scale gave as element `index`.
void store_scale(ScaleType type, float scale, void* array, int64_t index);
/// Reads it.
float load_scale(ScaleType type, const void* array, int64_t index);

}  // namespace fewbit
