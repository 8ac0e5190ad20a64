#include "formats/scale.h"

#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "numerics/bfloat16.h"
#include "numerics/float8.h"
#include "numerics/half.h"

namespace fewbit {
namespace {

struct ScaleRow {
  ScaleType type;
  std::string_view name;
  int bits;
  DType storage;
};

constexpr std::array<ScaleRow, 9> kScales = {{
    {ScaleType::kUnscaled, "", 0, DType::kUndefined},
    {ScaleType::kFloat32, "f32", 32, DType::kFloat32},
    {ScaleType::kFloat16, "f16", 16, DType::kFloat16},
    {ScaleType::kBfloat16, "bf16", 16, DType::kBfloat16},
    {ScaleType::kE8M0, "e8m0", 8, DType::kFloat8E8M0},
    {ScaleType::kE4M3, "e4m3", 8, DType::kFloat8E4M3FN},
    {ScaleType::kU4, "u4", 4, DType::kUint8},
    {ScaleType::kU6, "u6", 6, DType::kUint8},
    {ScaleType::kU8, "u8", 8, DType::kUint8},
}};

const ScaleRow& row_of(ScaleType type) {
  return kScales[static_cast<size_t>(type)];
}

// Within [smallest, largest] in magnitude; zero counts as positive.
float clamp_magnitude(float x, float smallest, float largest) {
  const float magnitude = std::fmin(std::fmax(std::fabs(x), smallest), largest);
  return x < 0 ? -magnitude : magnitude;
}

}  // namespace

std::string_view name_of(ScaleType type) {
  return row_of(type).name;
}

std::optional<ScaleType> scale_type_from_name(std::string_view name) {
  for (const ScaleRow& row : kScales) {
    if (row.type != ScaleType::kUnscaled && row.name == name) return row.type;
  }
  return std::nullopt;
}

int bits_of(ScaleType type) {
  return row_of(type).bits;
}

DType storage_of(ScaleType type) {
  return row_of(type).storage;
}

float round_scale(ScaleType type, float scale) {
  constexpr float kSmallestHalf = 0x1p-24F;
  constexpr float kLargestHalf = 65504.0F;
  constexpr float kSmallestNormal = std::numeric_limits<float>::min();
  constexpr float kLargestBfloat16 = 0x1.fep127F;
  constexpr float kSmallestE4M3 = 0x1p-9F;
  switch (type) {
    case ScaleType::kFloat32:
      return clamp_magnitude(scale, kSmallestNormal, std::numeric_limits<float>::max());
    case ScaleType::kFloat16:
      return Half::from_float(clamp_magnitude(scale, kSmallestHalf, kLargestHalf)).to_float();
    case ScaleType::kBfloat16:
      return Bfloat16::from_float(clamp_magnitude(scale, kSmallestNormal, kLargestBfloat16))
          .to_float();
    case ScaleType::kE8M0:
      return Float8E8M0::from_float(std::fabs(scale), true, PowerRounding::kNearest).to_float();
    case ScaleType::kE4M3:
      return Float8E4M3FN::from_float(std::fmax(std::fabs(scale), kSmallestE4M3)).to_float();
    default:
      FEWBIT_CHECK(false, static_cast<int>(type));
      return 0;
  }
}

void store_scale(ScaleType type, float scale, void* array, int64_t index) {
  const auto i = static_cast<size_t>(index);
  switch (type) {
    case ScaleType::kFloat32:
      static_cast<float*>(array)[i] = scale;
      return;
    case ScaleType::kFloat16:
      static_cast<Half*>(array)[i] = Half::from_float(scale);
      return;
    case ScaleType::kBfloat16:
      static_cast<Bfloat16*>(array)[i] = Bfloat16::from_float(scale);
      return;
    case ScaleType::kE8M0:
      static_cast<Float8E8M0*>(array)[i] = Float8E8M0::from_float(scale);
      return;
    case ScaleType::kE4M3:
      static_cast<Float8E4M3FN*>(array)[i] = Float8E4M3FN::from_float(scale);
      return;
    default:
      FEWBIT_CHECK(false, static_cast<int>(type));
  }
}

float load_scale(ScaleType type, const void* array, int64_t index) {
  const auto i = static_cast<size_t>(index);
  switch (type) {
    case ScaleType::kFloat32:
      return static_cast<const float*>(array)[i];
    case ScaleType::kFloat16:
      return static_cast<const Half*>(array)[i].to_float();
    case ScaleType::kBfloat16:
      return static_cast<const Bfloat16*>(array)[i].to_float();
    case ScaleType::kE8M0:
      return static_cast<const Float8E8M0*>(array)[i].to_float();
    case ScaleType::kE4M3:
      return static_cast<const Float8E4M3FN*>(array)[i].to_float();
    default:
      FEWBIT_CHECK(false, static_cast<int>(type));
      return 0;
  }
}

}  // namespace fewbit
