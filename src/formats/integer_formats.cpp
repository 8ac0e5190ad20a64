// Integers of 8 to 2 bits.
//
//   int8 .. int2     w = scale * (code - 2^(bits-1))   code in [0, 2^bits - 1]: the whole range,
//   -128
//                    to 127 for int8. Where the scale is a float it may be negative, so that the
//                    largest magnitude of a group, whatever its sign, can fall on the extra code
//   uint8 .. uint2   w = scale * (code - zero)         zero in [0, 2^bits - 1] per group
//
//   code_planes.h draws how codes lie in bytes: int4 as in a block of GGUF's q4_0.
//
//   |w - w'| <= scale / 2 where nothing is clipped; with search E only falls.
//
// Sources: B. Jacob et al., Quantization and Training of Neural Networks for Efficient
// Integer-Arithmetic-Only Inference, 2018; groups as in GPTQ (E. Frantar et al., 2022); the signed
// extremum as in llama.cpp's q4_0.

#include <array>

#include "formats/format_table.h"
#include "formats/leveled.h"

namespace fewbit::formats {
namespace {

constexpr std::array<Leveled, 7> kSigned = {{{integer_grid(8)},
                                             {integer_grid(7)},
                                             {integer_grid(6)},
                                             {integer_grid(5)},
                                             {integer_grid(4)},
                                             {integer_grid(3)},
                                             {integer_grid(2)}}};
constexpr std::array<Leveled, 7> kUnsigned = {{{unsigned_grid(8)},
                                               {unsigned_grid(7)},
                                               {unsigned_grid(6)},
                                               {unsigned_grid(5)},
                                               {unsigned_grid(4)},
                                               {unsigned_grid(3)},
                                               {unsigned_grid(2)}}};

// Eight bits are enough for a whole row; below, groups are the custom.
constexpr FormatRow row(uint16_t id, std::string_view name, std::string_view summary,
                        const Leveled* leveled) {
  FormatRow r = leveled_row(id, name, leveled);
  r.summary = summary;
  r.source = "B. Jacob et al., 2018 (arXiv:1712.05877)";
  if (leveled->grid.bits == 8) {
    r.default_group = Format::kPerChannel;
    r.default_scale = ScaleType::kFloat32;
  }
  // A zero-point and an integer scale together are GGUF's k-quants.
  if (leveled->grid.zero_point) r.scales = kFloatScales;
  r.files = kOnnxFile | kCompressedTensorsFile;
  return r;
}

constexpr std::array<FormatRow, 14> kRows = {
    row(10, "int8", "8-bit integers around 0", &kSigned[0]),
    row(11, "int7", "7-bit integers around 0", &kSigned[1]),
    row(12, "int6", "6-bit integers around 0", &kSigned[2]),
    row(13, "int5", "5-bit integers around 0", &kSigned[3]),
    row(14, "int4", "4-bit integers around 0", &kSigned[4]),
    row(15, "int3", "3-bit integers around 0", &kSigned[5]),
    row(16, "int2", "2-bit integers around 0", &kSigned[6]),
    row(17, "uint8", "8-bit integers with a zero-point", &kUnsigned[0]),
    row(18, "uint7", "7-bit integers with a zero-point", &kUnsigned[1]),
    row(19, "uint6", "6-bit integers with a zero-point", &kUnsigned[2]),
    row(20, "uint5", "5-bit integers with a zero-point", &kUnsigned[3]),
    row(21, "uint4", "4-bit integers with a zero-point", &kUnsigned[4]),
    row(22, "uint3", "3-bit integers with a zero-point", &kUnsigned[5]),
    row(23, "uint2", "2-bit integers with a zero-point", &kUnsigned[6]),
};

}  // namespace

std::span<const FormatRow> integer_rows() {
  return kRows;
}

}  // namespace fewbit::formats
