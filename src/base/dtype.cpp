#include "base/dtype.h"

#include <array>

namespace fewbit {
namespace {

struct Row {
  std::string_view name;
  int bits;
  char kind;  // f float, i signed, u unsigned, b bool, s string, c complex, - undefined
};

constexpr std::array<Row, kDTypeCount> kRows = {{
    {"undefined", 0, '-'},      {"float32", 32, 'f'},   {"uint8", 8, 'u'},
    {"int8", 8, 'i'},           {"uint16", 16, 'u'},    {"int16", 16, 'i'},
    {"int32", 32, 'i'},         {"int64", 64, 'i'},     {"string", 0, 's'},
    {"bool", 8, 'b'},           {"float16", 16, 'f'},   {"float64", 64, 'f'},
    {"uint32", 32, 'u'},        {"uint64", 64, 'u'},    {"complex64", 64, 'c'},
    {"complex128", 128, 'c'},   {"bfloat16", 16, 'f'},  {"float8e4m3fn", 8, 'f'},
    {"float8e4m3fnuz", 8, 'f'}, {"float8e5m2", 8, 'f'}, {"float8e5m2fnuz", 8, 'f'},
    {"uint4", 4, 'u'},          {"int4", 4, 'i'},       {"float4e2m1", 4, 'f'},
    {"float8e8m0", 8, 'f'},     {"uint2", 2, 'u'},      {"int2", 2, 'i'},
}};

const Row& row(DType type) {
  return kRows[static_cast<size_t>(type) < kRows.size() ? static_cast<size_t>(type) : 0];
}

}  // namespace

int bits_of(DType type) {
  return row(type).bits;
}

int64_t bytes_of(DType type, int64_t elements) {
  return (elements * bits_of(type) + 7) / 8;
}

std::string_view name_of(DType type) {
  return row(type).name;
}

std::optional<DType> dtype_from_name(std::string_view name) {
  if (name == "float") return DType::kFloat32;
  if (name == "double") return DType::kFloat64;
  for (size_t i = 1; i < kRows.size(); ++i) {
    if (kRows[i].name == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

bool is_float(DType type) {
  return row(type).kind == 'f';
}
bool is_integer(DType type) {
  return row(type).kind == 'i' || row(type).kind == 'u';
}
bool is_signed_integer(DType type) {
  return row(type).kind == 'i';
}

}  // namespace fewbit
