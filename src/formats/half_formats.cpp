// fp16 and bf16: 16-bit floats without scales.
//
//   values  [rows, cols]   fp16: s eeeee mmmmmmmmmm     bf16: s eeeeeeee mmmmmmm
//
//   w = value                error <= 2^-11 |w| (fp16, normal), 2^-8 |w| (bf16)
//
// fp16: what lies past 65504 cannot be held and is refused; below 2^-24 it becomes 0.
// Sources: IEEE 754-2019 binary16; bfloat16 as in numerics/bfloat16.h.

#include <array>
#include <cmath>

#include "formats/format_table.h"
#include "numerics/bfloat16.h"
#include "numerics/half.h"

namespace fewbit::formats {
namespace {

template <typename T>
void values_part(const Format&, int64_t rows, int64_t cols, std::vector<PartSpec>& out) {
  out.push_back({"values", DTypeOf<T>::value, {rows, cols}});
}

void convert(std::span<const float> in, std::span<Half> out) {
  to_half(in, out);
}
void convert(std::span<const float> in, std::span<Bfloat16> out) {
  to_bfloat16(in, out);
}

template <typename T>
Status encode_values(const EncodeInput& in, const EncodeOptions&, int64_t row_begin,
                     int64_t row_end, PackedMatrix& out) {
  const auto from = static_cast<size_t>(row_begin * in.cols);
  const auto count = static_cast<size_t>((row_end - row_begin) * in.cols);
  const std::span<T> values = out.parts[0].span<T>().subspan(from, count);
  convert(in.values.subspan(from, count), values);
  for (size_t i = 0; i < count; ++i) {
    if (std::isfinite(values[i].to_float())) [[likely]]
      continue;
    const auto at = static_cast<int64_t>(from + i);
    return bad_input("the weight {} in row {}, column {} is too large for {}", in.values[from + i],
                     at / in.cols, at % in.cols, out.format.name());
  }
  return {};
}

template <typename T>
void decode_values(const PackedMatrix& matrix, int64_t row_begin, int64_t row_end, float* out) {
  const auto count = static_cast<size_t>((row_end - row_begin) * matrix.cols);
  to_float(matrix.parts[0].span<T>().subspan(static_cast<size_t>(row_begin * matrix.cols), count),
           std::span(out, count));
}

template <typename T>
constexpr FormatRow row(uint16_t id, std::string_view name, std::string_view summary,
                        std::string_view source) {
  FormatRow r;
  r.id = id;
  r.name = name;
  r.summary = summary;
  r.source = source;
  r.files = kOnnxFile | kGgufFile | kCompressedTensorsFile;
  r.parts = values_part<T>;
  r.encode = encode_values<T>;
  r.decode = decode_values<T>;
  return r;
}

constexpr std::array<FormatRow, 2> kRows = {
    row<Half>(1, "fp16", "16-bit float, 5 bits of exponent", "IEEE 754-2019, binary16"),
    row<Bfloat16>(2, "bf16", "16-bit float, 8 bits of exponent",
                  "D. Kalamkar et al., A Study of BFLOAT16 for Deep Learning Training, 2019"),
};

}  // namespace

std::span<const FormatRow> half_rows() {
  return kRows;
}

}  // namespace fewbit::formats
