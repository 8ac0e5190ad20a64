#include "io/safetensors/safetensors.h"

namespace fewbit {
namespace {

struct Row {
  std::string_view name;
  DType type;
};

constexpr Row kRows[] = {
    {"F64", DType::kFloat64},
    {"F32", DType::kFloat32},
    {"F16", DType::kFloat16},
    {"BF16", DType::kBfloat16},
    {"F8_E4M3", DType::kFloat8E4M3FN},
    {"F8_E5M2", DType::kFloat8E5M2},
    {"F8_E8M0", DType::kFloat8E8M0},
    {"F8_E4M3FNUZ", DType::kFloat8E4M3FNUZ},
    {"F8_E5M2FNUZ", DType::kFloat8E5M2FNUZ},
    {"F4", DType::kFloat4E2M1},
    {"I64", DType::kInt64},
    {"I32", DType::kInt32},
    {"I16", DType::kInt16},
    {"I8", DType::kInt8},
    {"U64", DType::kUint64},
    {"U32", DType::kUint32},
    {"U16", DType::kUint16},
    {"U8", DType::kUint8},
    {"BOOL", DType::kBool},
    {"C64", DType::kComplex64},
};

}  // namespace

std::optional<DType> dtype_of_safetensors(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.type;
  }
  return std::nullopt;
}

std::string_view safetensors_name(DType type) {
  for (const Row& row : kRows) {
    if (row.type == type) return row.name;
  }
  return "";
}

StoredType stored_type(DType type, const Dims& dims) {
  if (bits_of(type) >= 8 && !safetensors_name(type).empty()) return {type, dims};
  return {DType::kUint8, {bytes_of(type, elements_of(dims))}};
}

}  // namespace fewbit
